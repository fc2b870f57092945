"""Selection: matchers and a range of time → series with their samples, from blocks and head. No Python per sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.view import View
from obs.errors import QueryError, QueryLimit
from obs.model.labels import Matcher
from obs.model.ports import SeriesSet
from obs.tsdb import histograms
from obs.tsdb.blocks import BlockCatalog, BlockSeries, GroupCache
from obs.tsdb.compiled import kernels, read_only
from obs.tsdb.filenames import SAMPLES
from obs.tsdb.idtable import IdTable
from obs.tsdb.index import SeriesIndex
from obs.tsdb.sorting import sort_rows
from obs.tsdb.spans import Spans, join, merge

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]

NO_ROWS = np.empty(0, np.int64)
FIRST_MS, LAST_MS = -(1 << 63), (1 << 63) - 1


@dataclass(slots=True)
class Stats:
    """What a selection cost."""

    figures: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("blocks_read", "blocks_skipped", "row_groups_read", "row_groups_decoded", "rows_read", "head_rows"), 0
        )
    )

    def add(self, name: str, n: int = 1) -> None:
        """Count."""
        self.figures[name] += n


@dataclass(frozen=True, slots=True)
class Reader:
    """What a selection reads with."""

    index: SeriesIndex
    catalog: BlockCatalog
    cache: GroupCache
    max_rows: int  # of one selection


def matching(index: SeriesIndex, matchers: Sequence[Matcher]) -> Mask:
    """bool[ordinal]. Raises: QueryError where a regex does not compile."""
    try:
        return index.matching(matchers)
    except ValueError as e:
        raise QueryError(f"{e}; write it in RE2's syntax") from None


def select(reader: Reader, view: View, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SeriesSet:
    """See `SampleSource`."""
    start_ms, end_ms = max(start_ms, FIRST_MS), min(end_ms, LAST_MS)
    series_of = reader.catalog.of(view.blocks)
    mask = matching(reader.index, matchers)
    stats = Stats()
    parts = []
    if mask.any() and start_ms <= end_ms:
        for block, series in zip(view.blocks, series_of, strict=True):
            part = _from_block(reader, block, series, mask, start_ms, end_ms, stats)
            if part is not None:
                parts.append(part)
        parts += _from_head(reader.index, view, mask, start_ms, end_ms, stats)
    else:
        stats.add("blocks_skipped", len(view.blocks))
    found, ordinals = _series_set(reader.index, parts, start_ms, end_ms, stats)
    if ordinals and histograms.has_any(view):
        return _attached(found, ordinals, histograms.read(view, reader.index, mask, start_ms, end_ms))
    return found


def _attached(found: SeriesSet, ordinals: Sequence[int], rows: Iterable[histograms.Row]) -> SeriesSet:
    """With the histogram of each sample that is one: its series and time has one whose count is the sample's value."""
    place = {ordinal: i for i, ordinal in enumerate(ordinals)}
    hists: Objects | None = None
    for ordinal, t_ms, histogram in rows:
        i = place.get(ordinal)
        if i is None:
            continue
        first, end = int(found.offsets[i]), int(found.offsets[i + 1])
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


def overlaps(block: Block, start_ms: int, end_ms: int) -> bool:
    """Whether a block may hold rows in start..end."""
    return block.meta.max_ns >= start_ms * 1_000_000 and block.meta.min_ns <= end_ms * 1_000_000


def _from_block(
    reader: Reader, block: Block, series: BlockSeries, mask: Mask, start_ms: int, end_ms: int, stats: Stats
) -> Spans | None:
    chosen = series.chosen(mask, start_ms, end_ms) if overlaps(block, start_ms, end_ms) else NO_ROWS
    if not len(chosen):
        stats.add("blocks_skipped")
        return None
    stats.add("blocks_read")
    stats.add("rows_read", int(series.counts[chosen].sum()))
    if stats.figures["rows_read"] > reader.max_rows:
        raise QueryLimit(
            f"cannot read more than {reader.max_rows} samples for one selector; name a metric, or ask for less time"
        )
    first, stop = series.first_rows[chosen], series.first_rows[chosen] + series.counts[chosen]
    first_group = np.searchsorted(series.group_starts, first, "right") - 1
    last_group = np.searchsorted(series.group_starts, stop - 1, "right") - 1
    wanted = np.unique(np.concatenate([first_group, last_group, _between(first_group, last_group)])).tolist()
    groups, decoded = reader.cache.read(block, series, wanted)
    stats.add("row_groups_read", len(wanted))
    stats.add("row_groups_decoded", decoded)
    if not groups:
        return None
    parts = []
    ordinals = series.ordinals[chosen].astype(np.int64)
    for g in wanted:
        base, end = int(series.group_starts[g]), int(series.group_starts[g + 1])
        here = np.flatnonzero((first < end) & (stop > base))
        starts, stops = np.maximum(first[here], base) - base, np.minimum(stop[here], end) - base
        low, high = int(starts[0]), int(stops[-1])
        t_ms, values = groups[g].t_ms[low:high], groups[g].values[low:high]
        parts.append(Spans(ordinals[here], starts - low, stops - low, t_ms, values))
    return join(parts)


def _between(first: I64, last: I64) -> I64:
    """Groups strictly inside a series that spans more than two."""
    inside = [np.arange(a + 1, b) for a, b in zip(first.tolist(), last.tolist(), strict=True) if b - a > 1]
    return np.concatenate(inside) if inside else NO_ROWS


def _from_head(index: SeriesIndex, view: View, mask: Mask, start_ms: int, end_ms: int, stats: Stats) -> list[Spans]:
    """The head's rows, grouped by series and sorted by time."""
    if not view.head_rows(SAMPLES):
        return []
    wanted = np.flatnonzero(mask)
    table = IdTable.of(index.ids(wanted))
    found = [
        rows for batch in view.head(SAMPLES).to_batches() if len((rows := _rows_of(table, batch, start_ms, end_ms))[0])
    ]
    if not found:
        return []
    slots, t_ms, values = (np.concatenate(column) for column in zip(*found, strict=True))
    stats.add("head_rows", len(t_ms))
    order, counts = sort_rows(slots, t_ms, len(wanted))
    ends = np.cumsum(counts)
    present = counts > 0
    return [Spans(wanted[present], (ends - counts)[present], ends[present], t_ms[order], values[order])]


def _rows_of(
    table: IdTable, batch: pa.RecordBatch, start_ms: int, end_ms: int
) -> tuple[npt.NDArray[np.int32], I64, npt.NDArray[np.float64]]:
    """Slot, time and value of a batch's rows that are wanted, in the order they were written."""
    ids, t_ms, values = (batch.column(name).to_numpy() for name in ("series_id", "t_ms", "value"))
    fast = kernels()
    if fast is None:
        found = table.lookup(ids)
        rows = np.flatnonzero((found >= 0) & (t_ms >= start_ms) & (t_ms <= end_ms))
        return found[rows], t_ms[rows], values[rows]
    at, slots = np.empty(len(ids), np.int64), np.empty(len(ids), np.int32)
    keys = table.slots
    n = fast.rows_of(keys.keys, keys.ordinals, keys.shift, read_only(ids), read_only(t_ms), start_ms, end_ms, at, slots)
    rows = at[:n]
    return slots[:n], t_ms[rows], values[rows]


def _series_set(
    index: SeriesIndex, parts: Sequence[Spans], start_ms: int, end_ms: int, stats: Stats
) -> tuple[SeriesSet, Sequence[int]]:
    """The series, and the ordinal of each."""
    if not parts:
        return SeriesSet((), np.zeros(1, np.int64), NO_ROWS, np.empty(0), stats.figures), ()
    spans = join(parts)
    ordinals, slots = np.unique(spans.ordinals, return_inverse=True)
    labels = index.labels(ordinals)
    by_labels = sorted(range(len(labels)), key=labels.__getitem__)
    place = np.empty(len(labels), np.int64)
    place[by_labels] = np.arange(len(labels))
    merged = merge(spans, place[slots], len(labels), start_ms, end_ms)
    kept = [i for i, n in zip(by_labels, merged.counts.tolist(), strict=True) if n]
    counts = merged.counts[merged.counts > 0]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    found = SeriesSet([labels[i] for i in kept], offsets, merged.t_ms, merged.values, stats.figures)
    return found, ordinals[kept].tolist()
