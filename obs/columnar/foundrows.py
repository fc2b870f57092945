"""Which rows of row groups a filter keeps, remembered: blocks never change, and dashboards, rules and pages ask again.

In: a filter and the rows that it kept of a whole row group. Out: the same rows, while they are among those used lately.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.columnar import limits

Index = npt.NDArray[np.int64]
Rows = npt.NDArray[Any]  # uint16, or uint32 where a row group is longer
Key = tuple[Path, int, Hashable]


class FoundRows:
    """Rows by block, row group and filter; safe to use from several threads."""

    def __init__(self, most_bytes: int = limits.FOUND_ROWS_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Key, Rows] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, path: Path, group: int, row_filter: Hashable) -> Index | None:
        """The rows that a filter keeps, rising; None where that is not remembered."""
        key = (path, group, row_filter)
        with self._lock:
            rows = self._kept.get(key)
            if rows is None:
                return None
            self._kept.move_to_end(key)
        return rows.astype(np.int64)

    def put(self, path: Path, group: int, row_filter: Hashable, rows: Index) -> None:
        """Remember rows; those not asked for the longest make room."""
        small = rows.astype(np.uint16 if not len(rows) or rows[-1] < 1 << 16 else np.uint32)
        key = (path, group, row_filter)
        with self._lock:
            self._let_go(key)
            self._kept[key] = small
            self._bytes += _size(small)
            while self._bytes > self._most_bytes:
                self._let_go(next(iter(self._kept)))

    def _let_go(self, key: Key) -> None:
        old = self._kept.pop(key, None)
        self._bytes -= 0 if old is None else _size(old)


def _size(rows: Rows) -> int:
    return rows.nbytes + limits.FOUND_ROWS_ENTRY_BYTES
