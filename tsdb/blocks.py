"""The series of one block in memory: which are there, and where their rows are. Immutable, as blocks are.

A series takes 21 bytes: rows and times are 32-bit offsets wherever a block's allow it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.model.labels import Matcher, MatchOp
from obs.tsdb import decimals
from obs.tsdb.limits import MOST_WRITTEN
from obs.tsdb.tombstones import Deleted

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Narrow = npt.NDArray[Any]
"""uint32 where all values fit, else int64."""

NO_GROUPS = np.zeros(1, np.int64)

Runs = Mapping[str, tuple[int, int]]
"""Positions first:last of each metric's series, in their order."""


@dataclass(frozen=True, slots=True)
class BlockSeries:
    """The series of one block, in its order, or those of one metric in it.

    Series i has rows first_rows[i] … first_row + counts[i] - 1; its times are base_ms + first[i] … base_ms + last[i].
    """

    ordinals: I32  # the index's
    first_rows: Narrow
    counts: Narrow
    scales: npt.NDArray[np.int8]
    base_ms: int
    first: Narrow
    last: Narrow
    metrics: Runs
    held: Mask  # by ordinal, whether a series has rows; shorter than the index
    group_starts: I64  # first row of each row group of samples, and the end
    footer: Any = None  # pq.FileMetaData of samples, None where there are none
    whole: bool = True  # not of one metric only
    gone: Mask | None = None  # series of which deletes hide every sample
    deleted: Deleted | None = None  # by ordinal; None where no row is hidden

    @classmethod
    def of(
        cls, ordinals: I32, first_rows: I64, counts: I64, scales: npt.NDArray[np.int8], times: tuple[I64, I64],
        metrics: Runs, *, whole: bool = True,
    ) -> BlockSeries:  # fmt: skip
        """Series without what the samples' file tells; `times`: the first and last of each, anything without rows."""
        some = counts > 0
        held = np.zeros(int(ordinals.max(initial=-1)) + 1, np.bool_)
        held[ordinals[some]] = True
        base_ms, first, last = _from_base(*times, some)
        return cls(
            ordinals, _narrow(first_rows), _narrow(counts), scales, base_ms, first, last, metrics, held, NO_GROUPS,
            whole=whole,
        )  # fmt: skip

    def with_footer(self, footer: Any) -> BlockSeries:
        """With the footer of the samples' file."""
        sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] if footer else []
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
        return replace(self, footer=footer, group_starts=starts)

    def with_times(self, min_ms: I64, max_ms: I64, gone: Mask, deleted: Deleted) -> BlockSeries:
        """As deletes leave them."""
        base_ms, first, last = _from_base(min_ms, max_ms, (self.counts > 0) & ~gone)
        return replace(self, base_ms=base_ms, first=first, last=last, gone=gone, deleted=deleted)

    def rows(self, at: I64 | slice) -> tuple[I64, I64]:
        """Where the rows of some series begin and end."""
        first = self.first_rows[at].astype(np.int64)
        return first, first + self.counts[at]

    def times(self, at: I64 | slice) -> tuple[I64, I64]:
        """The first and the last time of some series."""
        return self.first[at].astype(np.int64) + self.base_ms, self.last[at].astype(np.int64) + self.base_ms

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
        exact = exact_name(names)
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
        wanted &= (self.last[part] >= start_ms - self.base_ms) & (self.first[part] <= end_ms - self.base_ms)
        if self.gone is not None:
            wanted &= ~self.gone[part]
        return np.flatnonzero(wanted) + part.start

    def row_powers(self, start: int, stop: int) -> F64 | float:
        """The power of ten of each of the rows start..stop, or the one that all have; all of series that are here."""
        as_ours = self.first_rows.dtype.type  # a number of another type would have all of them copied
        first, last = (int(np.searchsorted(self.first_rows, as_ours(row), "right")) - 1 for row in (start, stop - 1))
        span = slice(first, last + 1)
        powers = decimals.POWERS[self.scales[span]]
        if bool((powers == powers[0]).all()):
            return float(powers[0])
        begins, ends = self.rows(span)
        return np.repeat(powers, np.minimum(ends, stop) - np.maximum(begins, start))


def _narrow(values: I64) -> Narrow:
    return values.astype(np.uint32) if len(values) and values.min() >= 0 and values.max() < 1 << 32 else values


def _from_base(min_ms: I64, max_ms: I64, some: Mask) -> tuple[int, Narrow, Narrow]:
    """A base, and what times are past it; the times of series that have no rows mean nothing."""
    if not some.any():
        return 0, np.zeros(len(some), np.uint32), np.zeros(len(some), np.uint32)
    base_ms = int(min_ms[some].min())
    if int(max_ms[some].max()) - base_ms >= 1 << 32:
        return 0, min_ms, max_ms
    first, last = np.where(some, min_ms, base_ms), np.where(some, max_ms, base_ms)
    return base_ms, _narrow(first - base_ms), _narrow(last - base_ms)


def exact_name(names: Sequence[Matcher]) -> str | None:
    """The one metric name that matchers of it leave, or None."""
    return next((m.value for m in names if m.op is MatchOp.EQ and m.value), None)


def metric_runs(names: pa.ChunkedArray | pa.Array) -> Runs:
    """The runs of equal metric names, in order; names may come with a dictionary."""
    if isinstance(names, pa.ChunkedArray):
        names = names.unify_dictionaries().combine_chunks()
    if not len(names):
        return {}
    coded = names if pa.types.is_dictionary(names.type) else names.dictionary_encode()
    codes, texts = coded.indices.to_numpy(), coded.dictionary.to_pylist()
    starts = [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist()]
    return {texts[code]: run for code, run in zip(codes[starts].tolist(), pairwise([*starts, len(codes)]), strict=True)}


_NONE = np.empty(0, np.int64)
NO_SERIES = BlockSeries.of(np.empty(0, np.int32), _NONE, _NONE, np.empty(0, np.int8), (_NONE, _NONE), {})


class Written:
    """The series of blocks that this process wrote, until the catalog takes them, so that nothing is read back.

    Any thread. What was written and never became a block is dropped when enough others came.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, BlockSeries] = OrderedDict()

    def keep(self, name: str, series: BlockSeries) -> None:
        """Those of a block that is being written."""
        with self._lock:
            self._kept[name] = series
            while len(self._kept) > MOST_WRITTEN:
                self._kept.popitem(last=False)

    def get(self, name: str) -> BlockSeries | None:
        """Those of a block, without the footer."""
        with self._lock:
            return self._kept.get(name)

    def drop(self, name: str) -> None:
        """Those of a block were taken."""
        with self._lock:
            self._kept.pop(name, None)
