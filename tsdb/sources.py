"""What a selection reads: blocks and sorted runs of heads. Each knows its series and gives their samples as spans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from obs.columnar.block import Block
from obs.tsdb.blocks import BlockSeries
from obs.tsdb.compiled import kernels
from obs.tsdb.groups import Group, GroupCache
from obs.tsdb.growing import ranges
from obs.tsdb.headruns import Run
from obs.tsdb.limits import FEW_GROUPS, FIRST_MS, LAST_MS
from obs.tsdb.spans import Spans, take

I64 = npt.NDArray[np.int64]


def covers(block: Block, start_ms: int, end_ms: int) -> bool:
    """Whether all rows of a block are in start..end."""
    return block.meta.min_ns >= start_ms * 1_000_000 and block.meta.max_ns <= end_ms * 1_000_000


class Source(Protocol):
    """Series that were selected, in the order in which they stand here."""

    @property
    def ordinals(self) -> I64:
        """The series."""

    @property
    def rows(self) -> I64:
        """How many rows each may have."""

    def times(self) -> tuple[I64, I64]:
        """The first and the last time of each."""

    def keep(self, some: npt.NDArray[np.bool_]) -> Source:
        """Those of some positions."""

    def expected(self, start_ms: int, end_ms: int) -> I64:
        """About how many of them are in start..end."""

    def lie(self, at: I64, stats: Stats) -> list[Spans]:
        """The samples of the series at some positions (rising) where they lie, whatever their times."""


class Stats:
    """What a selection cost. Only ever added to, so that parts read by several threads may share it."""

    def __init__(self) -> None:
        names = ("blocks_read", "blocks_skipped", "row_groups_read", "row_groups_decoded", "rows_read", "head_rows")
        self.figures: dict[str, int] = dict.fromkeys(names, 0)

    def add(self, name: str, n: int = 1) -> None:
        """Count."""
        self.figures[name] += n


@dataclass(frozen=True, slots=True)
class RunSource:
    """Series of a head's sorted run."""

    run: Run
    chosen: I64  # positions in the run
    ordinals: I64
    rows: I64

    @classmethod
    def of(cls, run: Run, chosen: I64) -> RunSource:
        """The series at these positions."""
        return cls(run, chosen, run.ordinals[chosen], (run.stops - run.starts)[chosen])

    def times(self) -> tuple[I64, I64]:
        """See `Source`."""
        return self.run.t_ms[self.run.starts[self.chosen]], self.run.t_ms[self.run.stops[self.chosen] - 1]

    def keep(self, some: npt.NDArray[np.bool_]) -> RunSource:
        """See `Source`."""
        return RunSource.of(self.run, self.chosen[some])

    def expected(self, start_ms: int, end_ms: int) -> I64:
        """See `Source`: heads are young, and mostly wanted whole."""
        return self.rows

    def lie(self, at: I64, stats: Stats) -> list[Spans]:
        """See `Source`."""
        chosen, run = self.chosen[at], self.run
        stats.add("head_rows", int(self.rows[at].sum()))
        return [Spans(self.ordinals[at], run.starts[chosen], run.stops[chosen], run.t_ms, run.values)]


@dataclass(frozen=True, slots=True)
class BlockSource:
    """Series of a block, read through the cache of decoded row groups."""

    block: Block
    series: BlockSeries
    cache: GroupCache
    chosen: I64  # positions in the block
    ordinals: I64
    first: I64  # row of each
    rows: I64

    @classmethod
    def of(cls, block: Block, series: BlockSeries, cache: GroupCache, chosen: I64) -> BlockSource:
        """The series at these positions."""
        first, stop = series.rows(chosen)
        return cls(block, series, cache, chosen, series.ordinals[chosen].astype(np.int64), first, stop - first)

    def times(self) -> tuple[I64, I64]:
        """See `Source`."""
        return self.series.times(self.chosen)

    def keep(self, some: npt.NDArray[np.bool_]) -> BlockSource:
        """See `Source`."""
        return BlockSource.of(self.block, self.series, self.cache, self.chosen[some])

    def expected(self, start_ms: int, end_ms: int) -> I64:
        """See `Source`: as if the rows of a series were spread evenly over its time."""
        if covers(self.block, start_ms, end_ms):
            return self.rows
        first, last = self.times()
        inside = np.minimum(last, end_ms).astype(np.float64) - np.maximum(first, start_ms) + 1
        share = np.clip(inside / (last.astype(np.float64) - first + 1), 0.0, 1.0)
        return np.ceil(self.rows * share).astype(np.int64)

    def lie(self, at: I64, stats: Stats) -> list[Spans]:
        """See `Source`; nothing where the block is damaged, and copies where rows of it are deleted."""
        series, ordinals, first = self.series, self.ordinals[at], self.first[at]
        stop = first + self.rows[at]
        pieces = _pieces(series.group_starts, first, stop)
        few = len(pieces.groups) <= FEW_GROUPS or not series.whole
        groups, decoded = self.cache.read(self.block, series, pieces.groups, pieces.rows if few else ())
        stats.add("row_groups_read", len(pieces.groups))
        stats.add("row_groups_decoded", decoded)
        found = pieces.of(groups, ordinals)
        return found if series.deleted is None or not found else [series.deleted.strip(take(found, FIRST_MS, LAST_MS))]


def with_last(sources: Sequence[Source], series: int, end_ms: int) -> list[Source]:
    """The sources without series whose last sample up to `end_ms` another source has; `series`: ordinals are below."""
    known = np.full(series, np.iinfo(np.int64).min)  # of each a time up to end_ms at which it has a sample
    lasts = []
    for source in sources:
        first, last = source.times()
        inside = last <= end_ms
        time = np.where(inside, last, first)
        reached = source.ordinals[inside | (first <= end_ms)]
        known[reached] = np.maximum(known[reached], time[inside | (first <= end_ms)])
        lasts.append(np.minimum(last, end_ms))
    kept = [source.keep(last >= known[source.ordinals]) for source, last in zip(sources, lasts, strict=True)]
    return [source for source in kept if len(source.ordinals)]


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The pieces of series in row groups: those of groups[i] are bounds[i]:bounds[i + 1], with rising rows."""

    groups: Sequence[int]
    bounds: Sequence[int]
    whose: I64  # positions
    starts: I64  # in the row group
    stops: I64

    @property
    def rows(self) -> list[tuple[int, int]]:
        """Of each row group the first of these rows, and behind the last."""
        return [(int(self.starts[a]), int(self.stops[b - 1])) for a, b in pairwise(self.bounds)]

    def of(self, groups: Mapping[int, Group], ordinals: I64) -> list[Spans]:
        """The samples; row groups that a damaged block does not give are left out."""
        owners, found = ordinals[self.whose], []
        for g, (a, b) in zip(self.groups, pairwise(self.bounds), strict=True):
            group = groups.get(g)
            if group is not None:
                starts, stops = self.starts[a:b], self.stops[a:b]
                if group.first:
                    starts, stops = starts - group.first, stops - group.first
                found.append(Spans(owners[a:b], starts, stops, group.t_ms, group.values))
        return found


def _pieces(group_starts: I64, first: I64, stop: I64) -> _Pieces:
    """The pieces of series whose rows are first:stop of a block, rising."""
    if kernels() is None:
        return pieces_plainly(group_starts, first, stop)
    from obs.tsdb.kernels_laid import pieces

    groups, bounds, whose, starts, stops = pieces(first, stop, group_starts)
    return _Pieces(groups.tolist(), bounds.tolist(), whose, starts, stops)


def pieces_plainly(group_starts: I64, first: I64, stop: I64) -> _Pieces:
    """The same with numpy alone."""
    wanted = list(_groups(group_starts, first, stop))
    numbers = np.array(wanted, np.int64)
    bases, ends = group_starts[numbers], group_starts[numbers + 1]
    lows, highs = np.searchsorted(stop, bases, "right"), np.searchsorted(first, ends, "left")
    counts = highs - lows
    whose, base = ranges(lows, counts), np.repeat(bases, counts)
    starts = np.maximum(first[whose], base) - base
    stops = np.minimum(stop[whose], np.repeat(ends, counts)) - base
    return _Pieces(wanted, [0, *np.cumsum(counts).tolist()], whose, starts, stops)


def _groups(group_starts: I64, first: I64, stop: I64) -> Iterable[int]:
    """The row groups in which any of the rows first:stop are."""
    touched = np.zeros(len(group_starts) + 1, np.int64)
    np.add.at(touched, np.searchsorted(group_starts, first, "right") - 1, 1)
    np.add.at(touched, np.searchsorted(group_starts, stop - 1, "right"), -1)
    found: list[int] = np.flatnonzero(np.cumsum(touched) > 0).tolist()
    return found
