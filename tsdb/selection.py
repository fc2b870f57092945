"""Selection: matchers and a range of time → series with their samples, from blocks and head. No Python per sample.

A selection is worked out once and read in parts of whole series, so that a part's samples stay in a core's cache and
memory does not grow with what is selected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.view import View
from obs.errors import QueryError, QueryLimit
from obs.model.labels import METRIC_NAME, Matcher
from obs.model.ports import Laid, SeriesSet
from obs.tsdb import beside, histograms
from obs.tsdb.catalog import BlockCatalog, readers
from obs.tsdb.compiled import kernels
from obs.tsdb.filenames import HISTOGRAMS, SAMPLES
from obs.tsdb.groups import GroupCache
from obs.tsdb.headruns import Few, OfTables, Run
from obs.tsdb.index import SeriesIndex
from obs.tsdb.labelrows import KnownRows, LabelRows
from obs.tsdb.laid import gathered, lay, slots_of
from obs.tsdb.limits import FEW_SHARE, FIRST_MS, LAST_MS, MANY_SOURCES, PART_ROWS, PASSED_BY
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.sources import BlockSource, RunSource, Source, Stats, with_last
from obs.tsdb.spans import Merged, Spans, merge_plainly, take

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]

NO_ROWS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Reader:
    """What a selection reads with."""

    index: SeriesIndex
    catalog: BlockCatalog
    cache: GroupCache
    runs: OfTables[Run]
    max_rows: int  # of one selection
    labels: KnownRows


def matching(index: SeriesIndex, matchers: Sequence[Matcher]) -> Mask:
    """bool[ordinal]. Raises: QueryError where a regex does not compile."""
    try:
        return index.matching(matchers)
    except ValueError as e:
        raise QueryError(f"{e}; write it in RE2's syntax") from None


def overlaps(block: Block, start_ms: int, end_ms: int) -> bool:
    """Whether a block may hold rows in start..end."""
    return block.meta.max_ns >= start_ms * 1_000_000 and block.meta.min_ns <= end_ms * 1_000_000


def select(reader: Reader, view: View, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SeriesSet:
    """See `SampleSource`. Raises: QueryError, QueryLimit."""
    selection = plan(reader, view, matchers, start_ms, end_ms)
    if selection.rows > reader.max_rows:
        raise QueryLimit(
            f"cannot read more than {reader.max_rows} samples for one selector; name a metric, or ask for less time"
        )
    return selection.whole()


def plan(
    reader: Reader, view: View, matchers: Sequence[Matcher], start_ms: int, end_ms: int, most_series: int = 1 << 31,
    last_only: bool = False,
) -> Selection:  # fmt: skip
    """Which series are where; parts have at most `most_series`. The selection closes the view. Raises: QueryError.

    `last_only`: what cannot be the last sample of its series is not read.
    """
    start_ms, end_ms = max(start_ms, FIRST_MS), min(end_ms, LAST_MS)
    blocks = [block for block in view.blocks if overlaps(block, start_ms, end_ms)]
    names = [m for m in matchers if m.name == METRIC_NAME]
    series_of = reader.catalog.of_metric(blocks, names)  # teaches the index
    mask = matching(reader.index, matchers)
    wanted = np.flatnonzero(mask)
    stats = Stats()
    sources: list[Source] = []
    if len(wanted) and start_ms <= end_ms:
        for block, series in zip(blocks, series_of, strict=True):
            chosen = series.chosen(mask, start_ms, end_ms, names)
            if len(chosen):
                sources.append(BlockSource.of(block, series, reader.cache, chosen))
        sources += _heads(reader, view, wanted)
        if last_only and not beside.has_any(view, HISTOGRAMS):  # a histogram's hint is told from those before it
            sources = with_last(sources, len(mask), end_ms)
        of_blocks = [source for source in sources if isinstance(source, BlockSource)]
        stats.add("blocks_read", len(of_blocks))
        stats.add("rows_read", sum(int(source.rows.sum()) for source in of_blocks))
    stats.add("blocks_skipped", len(view.blocks) - stats.figures["blocks_read"])
    hists = histograms.read(view, reader.index, mask, start_ms, end_ms) if beside.has_any(view, HISTOGRAMS) else ()
    return Selection(reader, view, wanted, sources, (start_ms, end_ms), stats, most_series, hists)


def _heads(reader: Reader, view: View, wanted: I64) -> Iterable[Source]:
    tables = view.head_runs(SAMPLES)
    are_few = FEW_SHARE * len(wanted) < len(reader.index)
    for run in _few(reader, wanted, tables) if are_few else map(reader.runs.of, tables):
        chosen = run.chosen(wanted)
        if len(chosen):
            yield RunSource.of(run, chosen)


def _few(reader: Reader, wanted: I64, tables: Sequence[pa.Table]) -> Iterable[Run]:
    """What is sorted already, and of the other tables the rows of some series only, picked out by all cores."""
    kept = [reader.runs.kept(table) for table in tables]
    left = [table for table, run in zip(tables, kept, strict=True) if run is None]
    if not left:
        return [run for run in kept if run is not None]
    pick = Few(reader.index, wanted).run
    picked = readers().map(pick, left) if len(left) >= MANY_SOURCES else map(pick, left)
    return [next(picked) if run is None else run for run in kept]


class Selection:
    """Series of several sources, cut into parts of whole series. Parts may be read by several threads at a time."""

    def __init__(
        self, reader: Reader, view: View, wanted: I64, sources: Sequence[Source], range_ms: tuple[int, int],
        stats: Stats, most_series: int, hists: Iterable[histograms.Row],
    ) -> None:  # fmt: skip
        self._reader, self._view, self._sources, self._stats = reader, view, sources, stats
        self._start_ms, self._end_ms = range_ms
        self._hists: dict[int, list[tuple[int, Histogram]]] = {}
        for ordinal, t_ms, histogram in hists:
            self._hists.setdefault(ordinal, []).append((t_ms, histogram))
        if len(sources) == 1:
            only = sources[0]
            self.rows, self._ordinals = int(only.rows.sum()), only.ordinals
            self._bounds = _cut(_weights(only, *range_ms), most_series)
            self._parts = [(np.arange(len(only.ordinals)), self._bounds)]
            return
        places = places_in(wanted, [source.ordinals for source in sources])
        rows, weights = np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.int64)
        for source, at in zip(sources, places, strict=True):
            rows[at] += source.rows
            weights[at] += _weights(source, *range_ms)
        self.rows = int(rows.sum())
        order = _in_order(rows, places)
        self._ordinals = wanted[order]
        self._bounds = _cut(weights[order], most_series)
        self._parts = [_by_part(at, order, self._bounds, len(wanted)) for at in places]

    def __len__(self) -> int:
        return len(self._bounds) - 1

    @property
    def stats(self) -> Mapping[str, int]:
        """What was read so far."""
        return self._stats.figures

    def read(self, part: int) -> SeriesSet:
        """The series of a part, in no order; those without samples in the range are left out."""
        return self._read(*self._part(part), alone=len(self) < MANY_SOURCES)

    def laid(self, part: int) -> Laid | None:
        """The same where the samples lie, series without any among them; None where they have to be copied."""
        if self._hists or kernels() is None:
            return None
        labels, at = self._part(part)
        pieces = self._pieces(at, alone=len(self) < MANY_SOURCES)
        return self._lay(labels, pieces) if pieces else None

    def whole(self) -> SeriesSet:
        """All series, sorted by labels."""
        labels = LabelRows(self._reader.index, self._ordinals)
        at = [np.sort(positions) for positions, _ in self._parts]
        found = self._read(labels.take(labels.order()), at)
        return replace(found, stats=self.stats)

    def close(self) -> None:
        """Let the blocks go."""
        self._view.close()

    def __enter__(self) -> Selection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _part(self, part: int) -> tuple[LabelRows, list[I64]]:
        """The labels of a part's series, and the positions of these in each source."""
        labels = self._reader.labels.of(self._ordinals[self._bounds[part] : self._bounds[part + 1]])
        return labels, [positions[bounds[part] : bounds[part + 1]] for positions, bounds in self._parts]

    def _pieces(self, at: Sequence[I64], alone: bool) -> list[Spans]:
        """The samples of each source's positions where they lie; `alone`: no other part is read at this time.

        Where row groups have to be decoded one source after the other, several threads do it.
        """

        def read(task: tuple[Source, I64]) -> list[Spans]:
            return task[0].lie(task[1], self._stats)

        left = [task for task in zip(self._sources, at, strict=True) if len(task[1])]
        found: list[list[Spans]] = []
        while left:
            decoded = self._stats.figures["row_groups_decoded"]
            found.append(read(left.pop(0)))
            if alone and len(left) >= MANY_SOURCES and self._stats.figures["row_groups_decoded"] > decoded:
                found += readers().map(read, left)
                break
        return [spans for each in found for spans in each]

    def _lay(self, labels: LabelRows, pieces: Sequence[Spans]) -> Laid:
        return lay(labels, pieces, slots_of(labels.ordinals), self._start_ms, self._end_ms)

    def _merged(self, labels: LabelRows, pieces: Sequence[Spans]) -> Merged:
        """The samples of each series one after the other."""
        if kernels() is not None:
            return gathered(self._lay(labels, pieces))
        spans = take(pieces, self._start_ms, self._end_ms)
        return merge_plainly(spans, _places(labels.ordinals, spans.ordinals), len(labels), FIRST_MS, LAST_MS)

    def _read(self, labels: LabelRows, at: Sequence[I64], alone: bool = True) -> SeriesSet:
        pieces = self._pieces(at, alone)
        if not pieces:
            return SeriesSet((), np.zeros(1, np.int64), NO_ROWS, np.empty(0))
        merged = self._merged(labels, pieces)
        counts = merged.counts
        some = counts > 0
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[some])])
        if not some.all():
            labels = labels.take(np.flatnonzero(some))
        found = SeriesSet(labels, offsets, merged.t_ms, merged.values)
        return _attached(found, labels.ordinals, self._hists) if self._hists else found


def _weights(source: Source, start_ms: int, end_ms: int) -> I64:
    """What reading each series of a source costs, in rows."""
    return np.maximum(source.expected(start_ms, end_ms), source.rows // PASSED_BY)


def _in_order(rows: I64, places: Sequence[I64]) -> I64:
    """Which series have rows, in the order of the source that has most series, the others behind."""
    found = np.flatnonzero(rows)
    if not places:
        return found
    rank = np.full(len(rows), len(rows))
    largest = max(places, key=len)
    rank[largest] = np.arange(len(largest))
    return found[np.argsort(rank[found], kind="stable")]


def _cut(weights: I64, most_series: int) -> I64:
    """Bounds of parts of about `PART_ROWS` rows each and at most `most_series` series."""
    if not len(weights):
        return np.zeros(1, np.int64)
    if len(weights) <= most_series and weights.sum() <= PART_ROWS:
        return np.array([0, len(weights)])
    part = (np.cumsum(weights) - weights) // PART_ROWS
    first = np.flatnonzero(np.concatenate([[True], part[1:] != part[:-1]]))
    bounds = [np.arange(a, b, most_series) for a, b in zip(first, [*first[1:], len(weights)], strict=True)]
    return np.concatenate([*bounds, [len(weights)]])


def _by_part(mine: I64, order: I64, bounds: I64, size: int) -> tuple[I64, I64]:
    """Positions of a source's series by part (rising within each), and the bounds of each part among them."""
    if len(bounds) == 2:
        return np.arange(len(mine)), np.array([0, len(mine)])
    part_of = np.zeros(size, np.int32)
    part_of[order] = np.repeat(np.arange(len(bounds) - 1, dtype=np.int32), np.diff(bounds))
    parts = part_of[mine]
    positions = np.argsort(parts, kind="stable")
    return positions, np.searchsorted(parts[positions], np.arange(len(bounds)))


def places_in(rising: I64, parts: Sequence[I64]) -> list[I64]:
    """Where each ordinal of some parts stands among rising ones, all of which are there."""
    if 16 * sum(map(len, parts)) < int(rising[-1] if len(rising) else 0):
        return [np.searchsorted(rising, ordinals) for ordinals in parts]
    table = np.empty(int(rising[-1]) + 1 if len(rising) else 0, np.int32)
    table[rising] = np.arange(len(rising), dtype=np.int32)
    return [table[ordinals].astype(np.int64) for ordinals in parts]


def _places(ordinals: I64, wanted: I64) -> I64:
    """Where each of `wanted` stands in `ordinals`."""
    order = np.argsort(ordinals)
    return order[np.searchsorted(ordinals, wanted, sorter=order)]


def _attached(found: SeriesSet, ordinals: I64, rows: Mapping[int, Sequence[tuple[int, Histogram]]]) -> SeriesSet:
    """With the histogram of each sample that is one: its series and time has one whose count is the sample's value."""
    hists: Objects | None = None
    for i, ordinal in enumerate(ordinals.tolist()):
        first, end = int(found.offsets[i]), int(found.offsets[i + 1])
        for t_ms, histogram in rows.get(ordinal, ()):
            row = first + int(np.searchsorted(found.t_ms[first:end], t_ms))
            if row < end and found.t_ms[row] == t_ms and same_bits(found.values[row], histogram.count):
                hists = np.full(len(found.t_ms), None, np.object_) if hists is None else hists
                hists[row] = histogram
    if hists is None:
        return found
    return replace(found, values=np.where(hists == np.array(None), found.values, 0.0), hists=hists)


def same_bits(a: float, b: float) -> bool:
    """Whether two doubles are one and the same, NaN among them."""
    return bool(np.float64(a).view(np.int64) == np.float64(b).view(np.int64))
