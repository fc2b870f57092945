"""The series of one block in memory: which are there, and where their rows are. Immutable, as blocks are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.model.labels import Matcher, MatchOp
from obs.tsdb.tombstones import Deleted

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BlockSeries:
    """The series of one block, in its order. Rows of series i are first_rows[i]:first_rows[i] + counts[i]."""

    ordinals: npt.NDArray[np.int32]  # the index's
    first_rows: I64
    counts: I64
    powers: F64  # ten to the scale
    min_ms: I64
    max_ms: I64
    metrics: Mapping[str, tuple[int, int]]  # series first:last of each metric, in their order
    group_starts: I64  # first row of each row group of samples, and the end
    footer: Any  # pq.FileMetaData of samples, None where there are none
    held: Mask | None = None  # by ordinal, whether a series has rows; shorter than the index
    gone: Mask | None = None  # series of which deletes hide every sample
    deleted: Deleted | None = None  # by ordinal; None where no row is hidden

    def chosen(self, mask: Mask | None, start_ms: int, end_ms: int, names: Sequence[Matcher] = ()) -> I64:
        """Positions of the series of a mask (None: of all) that may have samples in start..end.

        `names`: matchers of the metric name that the mask satisfies; series of other metrics are not looked at.
        """
        found = [self._chosen(mask, start_ms, end_ms, part) for part in self._slices(names)]
        if len(found) == 1:
            return found[0]
        return np.concatenate(found) if found else _NONE

    def _slices(self, names: Sequence[Matcher]) -> list[slice]:
        """The parts of the block whose metrics have these names; neighbours as one."""
        exact = next((m.value for m in names if m.op is MatchOp.EQ and m.value), None)
        metrics = self.metrics if exact is None else {exact: self.metrics[exact]} if exact in self.metrics else {}
        parts: list[slice] = []
        for name, (first, last) in metrics.items():
            if not all(m.matches(name) for m in names):
                continue
            if parts and parts[-1].stop == first:
                parts[-1] = slice(parts[-1].start, last)
            else:
                parts.append(slice(first, last))
        return parts

    def _chosen(self, mask: Mask | None, start_ms: int, end_ms: int, part: slice) -> I64:
        wanted = self.counts[part] > 0
        if mask is not None:
            wanted &= mask[self.ordinals[part]]
        wanted &= (self.max_ms[part] >= start_ms) & (self.min_ms[part] <= end_ms)
        if self.gone is not None:
            wanted &= ~self.gone[part]
        return np.flatnonzero(wanted) + part.start

    def row_powers(self, start: int, stop: int) -> F64 | float:
        """The power of ten of each of the rows start..stop, or the one that all have."""
        ends = self.first_rows + self.counts
        first, last = (int(np.searchsorted(ends, row, "right")) for row in (start, stop - 1))
        span = slice(first, last + 1)
        if bool((self.powers[span] == self.powers[first]).all()):
            return float(self.powers[first])
        counts = np.minimum(ends[span], stop) - np.maximum(self.first_rows[span], start)
        return np.repeat(self.powers[span], counts)


_NONE = np.empty(0, np.int64)
NO_SERIES = BlockSeries(
    np.empty(0, np.int32), _NONE, _NONE, np.empty(0), _NONE, _NONE, {}, np.zeros(1, np.int64), None
)  # fmt: skip
