"""Traces that are due for a decision: their spans in batches, and which trace each row is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.collector.processors.derived.columns import Words
from obs.collector.processors.derived.state import Ints

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Due:
    """`keys[i]` names trace i; `group` holds the trace of each row, over all batches in their order."""

    batches: Sequence[pa.RecordBatch]
    keys: Words
    group: Ints

    def __len__(self) -> int:
        """How many traces there are."""
        return len(self.keys)

    @cached_property
    def spans(self) -> Ints:
        """int64[traces]: how many spans each has."""
        return np.bincount(self.group, minlength=len(self)).astype(np.int64)

    def any(self, mask: Callable[[pa.RecordBatch], Mask]) -> Mask:
        """bool[traces]: whether a span of it satisfies `mask`, which is given each batch."""
        hits = np.concatenate([mask(batch) for batch in self.batches])
        found = np.zeros(len(self), np.bool_)
        found[self.group[hits]] = True
        return found

    def column(self, name: str) -> Ints:
        """int64[rows]: a fixed column over all batches."""
        return np.concatenate([batch.column(name).to_numpy(zero_copy_only=False) for batch in self.batches])

    def durations_ns(self) -> Ints:
        """int64[traces]: from the first start to the last end."""
        first, last = np.full(len(self), np.iinfo(np.int64).max), np.full(len(self), np.iinfo(np.int64).min)
        np.minimum.at(first, self.group, self.column("start_ns"))
        np.maximum.at(last, self.group, self.column("end_ns"))
        return np.maximum(last - first, 0)
