"""An append-only numpy array. One thread adds at a time; views that readers took before stay as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Growing:
    """Room doubles when it is full; rows that were written are never written again."""

    __slots__ = ("_data", "size")

    def __init__(self, dtype: npt.DTypeLike, room: int = 1024) -> None:
        self._data: npt.NDArray[Any] = np.empty(room, dtype)
        self.size = 0

    @property
    def view(self) -> npt.NDArray[Any]:
        """What was added so far."""
        return self._data[: self.size]

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return int(self._data.nbytes)

    def extend(self, values: npt.NDArray[Any]) -> None:
        """Add at the end."""
        end = self.size + len(values)
        if end > len(self._data):
            bigger = np.empty(max(end, 2 * len(self._data)), self._data.dtype)
            bigger[: self.size] = self.view
            self._data = bigger
        self._data[self.size : end] = values
        self.size = end


def ranges(starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """start, start + 1 … of every range, one after the other."""
    total = int(counts.sum())
    ends = np.cumsum(counts)
    return np.arange(total) + np.repeat(starts - (ends - counts), counts)
