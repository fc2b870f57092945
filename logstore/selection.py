"""What to read, and the chunks that may hold it: blocks and row groups pruned by stream, time and tokens.

In: a `Selection` and a view of the engine. Out: `Unit`s, each one chunk to read, best first for the direction asked.
No row is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.logstore import limits
from obs.logstore.blockindex import Block, BlockIndex, BlockIndexes
from obs.logstore.cells import known
from obs.logstore.chunks import Chunk, Rows, cells_chunk, head_chunk
from obs.logstore.matching import matches_stream
from obs.logstore.names import FIXED_LABELS, IMPLIED, STREAM_ID, attribute_columns
from obs.logstore.rowgroups import group_chunk
from obs.logstore.streams import StreamTable
from obs.logstore.tokens import Needle
from obs.model.labels import Labels, Matcher
from obs.model.schema import OVERFLOW

Mask = npt.NDArray[np.bool_]
Ranges = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
ALL_TIME = (-(1 << 63), (1 << 63) - 1)


@dataclass(frozen=True, slots=True)
class Requirement:
    """Rows must contain the needle in one of these fields of the filter file.

    With `label` that holds only where the label is no stored one and `parser` surely finds it as the body has it:
    in a column there are no escapes; `unescaped`: what escapes stand for elsewhere parts no words of the needle.
    """

    fields: tuple[str, ...]
    needle: Needle
    label: str = ""
    parser: str = ""
    unescaped: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """The records are only counted, by labels of these names; `alike` says of intervals (their first and last
    nanoseconds) whether all times in one fall into the same windows."""

    names: frozenset[str]
    alike: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], Mask]


@dataclass(frozen=True, slots=True)
class Selection:
    """Records of streams that satisfy every matcher, with start_ns <= time < end_ns."""

    matchers: tuple[Matcher, ...] = ()
    start_ns: int = ALL_TIME[0]
    end_ns: int = ALL_TIME[1]
    requirements: tuple[Requirement, ...] = ()
    counted: Counted | None = None


@dataclass(slots=True)
class Stats:
    """What a query read and what it was spared."""

    blocks: int = 0
    blocks_skipped: int = 0
    row_groups: int = 0
    skipped_by_stream: int = 0
    skipped_by_time: int = 0
    skipped_by_tokens: int = 0
    rows_read: int = 0
    head_rows: int = 0
    columns_read: int = 0

    def add(self, other: Stats) -> None:
        """Count what another part of the query read, too."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_dict(self) -> dict[str, int]:
        """By name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Unit:
    """One chunk to read: rows between min_ns and max_ns; `open` reads what is needed to choose its rows."""

    min_ns: int
    max_ns: int
    rows: int  # at most
    open: Callable[[], Rows] = field(compare=False)
    damaged: Callable[[], bool] = field(default=lambda: False, compare=False)  # asked when reading failed


class StreamFilter:
    """Which streams a selection wants; asked once a stream."""

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self._matchers = matchers
        self._known: dict[int, bool] = {}

    def mask(self, streams: Iterable[tuple[int, Labels]]) -> Mask:
        """Whether each stream is wanted."""
        return np.fromiter((self._wants(i, labels) for i, labels in streams), np.bool_)

    def _wants(self, stream_id: int, labels: Labels) -> bool:
        known = self._known.get(stream_id)
        if known is None:
            known = self._known[stream_id] = matches_stream(labels, self._matchers)
        return known


def units(
    head: pa.Table,
    blocks: Iterable[Block],
    indexes: BlockIndexes,
    labels_of: Callable[[int], Labels],
    selection: Selection,
    stats: Stats,
    hiding: Callable[[Block], Callable[[Rows], Rows] | None],
) -> list[Unit]:
    """All chunks of a view's head and blocks that may hold rows of the selection, as they were written."""
    streams = StreamFilter(selection.matchers)
    newest = head_units(head, labels_of, selection, streams, stats)
    found: list[Unit] = []
    for block in blocks:
        index = indexes.get(block)
        if index is not None:
            found += block_units(index, selection, streams, stats, hiding(block))
    return found + newest


def head_units(
    table: pa.Table | None,
    labels_of: Callable[[int], Labels],
    selection: Selection,
    streams: StreamFilter,
    stats: Stats,
) -> list[Unit]:
    """Slices of the head."""
    if table is None or not table.num_rows:
        return []
    attributes = attribute_columns(table.column_names)
    parts = (table.slice(at, limits.HEAD_SLICE_ROWS) for at in range(0, table.num_rows, limits.HEAD_SLICE_ROWS))
    found = (_head_unit(part, attributes, labels_of, selection, streams, stats) for part in parts)
    return [unit for unit in found if unit is not None]


def _head_unit(
    part: pa.Table,
    attributes: Mapping[str, list[str]],
    labels_of: Callable[[int], Labels],
    selection: Selection,
    streams: StreamFilter,
    stats: Stats,
) -> Unit | None:
    chunk = table_chunk(part, attributes, labels_of)
    wanted = streams.mask(chunk.streams.streams)
    if not wanted.any():
        return None
    if chunk.max_ns < selection.start_ns or chunk.min_ns >= selection.end_ns:
        return None
    stats.head_rows += part.num_rows
    rows = np.arange(part.num_rows) if wanted.all() else np.flatnonzero(wanted[chunk.stream_codes])
    return Unit(chunk.min_ns, chunk.max_ns, len(rows), lambda: in_time(Rows(chunk, rows), selection))


def table_chunk(part: pa.Table, attributes: Mapping[str, list[str]], labels_of: Callable[[int], Labels]) -> Chunk:
    """Rows with stream ids as a chunk."""
    encoded = part.column(STREAM_ID).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    known = StreamTable([(i, labels_of(i)) for i in encoded.dictionary.to_pylist()])
    return head_chunk(part, attributes, known, encoded.indices.to_numpy().astype(np.int64))


def may_hold(index: BlockIndex, selection: Selection, streams: StreamFilter) -> bool:
    """Whether a block may have rows of a selection."""
    return bool(block_units(index, selection, streams, Stats()))


def block_units(
    index: BlockIndex,
    selection: Selection,
    streams: StreamFilter,
    stats: Stats,
    hide: Callable[[Rows], Rows] | None = None,
) -> list[Unit]:
    """The row groups of one block that may hold rows of the selection; `hide` leaves deleted ones out."""
    wanted = streams.mask(index.streams.streams)
    wanted &= (index.stream_max >= selection.start_ns) & (index.stream_min < selection.end_ns)
    if not wanted.any():
        stats.blocks_skipped += 1
        return []
    stats.blocks += 1
    if selection.counted is not None and hide is None:
        found = _counted_units(index, wanted, selection, selection.counted, stats)
        if found is not None:
            return found
    alive = _groups_alive(index, wanted, selection, stats)
    return [_group_unit(index, int(group), wanted, selection, hide) for group in np.flatnonzero(alive)]


def _counted_units(
    index: BlockIndex, wanted: Mask, selection: Selection, counted: Counted, stats: Stats
) -> list[Unit] | None:
    """The cells of a block that no window cuts, and the rows of those that one does; None where that spares nothing."""
    cells = index.cells
    if cells is None or not known(counted.names, index.streams, index.attributes, index.columns):
        return None
    first_ns = np.maximum(cells.times_ns - (cells.width_ns - 1), index.stream_min[cells.streams])
    last_ns = np.minimum(cells.times_ns, index.stream_max[cells.streams])
    chosen = wanted[cells.streams] & (last_ns >= selection.start_ns) & (first_ns < selection.end_ns)
    alike = counted.alike(first_ns, last_ns)
    cut = _merged(cells.start[chosen & ~alike], cells.end[chosen & ~alike])
    if (cut[1] - cut[0]).sum() * 2 > index.rows:
        return None
    whole = np.flatnonzero(chosen & alike)
    bounds = int(first_ns.min()), int(last_ns.max())
    found = (
        [Unit(*bounds, len(whole), lambda: Rows(cells_chunk(cells, last_ns, index.streams), whole))]
        if len(whole)
        else []
    )
    first = np.searchsorted(index.group_start, cut[0], side="right") - 1
    final = np.searchsorted(index.group_start, cut[1], side="left")
    groups = sorted({g for a, b in zip(first.tolist(), final.tolist(), strict=True) for g in range(a, b)})
    stats.row_groups += len(groups)
    return found + [_group_unit(index, g, wanted, selection, None, cut) for g in groups]


def _merged(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Ranges:
    """Rising ranges of rows, those that touch or repeat as one."""
    if not len(starts):
        return starts, ends
    apart = np.flatnonzero(starts[1:] > ends[:-1]) + 1
    return starts[np.concatenate(([0], apart))], ends[np.concatenate((apart - 1, [len(ends) - 1]))]


def _groups_alive(index: BlockIndex, wanted: Mask, selection: Selection, stats: Stats) -> Mask:
    starts, ends = index.group_start[:-1], index.group_start[1:]
    by_stream = np.ones(len(starts), np.bool_)
    if not wanted.all():
        before = np.concatenate(([0], np.cumsum(np.where(wanted, np.diff(index.first_row), 0))))
        by_stream = _rows_before(index, before, wanted, ends) > _rows_before(index, before, wanted, starts)
    by_time = (index.group_max >= selection.start_ns) & (index.group_min < selection.end_ns)
    alive = by_stream & by_time
    stats.skipped_by_stream += int((~by_stream).sum())
    stats.skipped_by_time += int((by_stream & ~by_time).sum())
    if index.tokens is not None and alive.any():
        held = len(alive[alive])
        for requirement in selection.requirements:
            alive &= index.tokens.may_contain(requirement.fields, requirement.needle) | _unsure(index, requirement)
        stats.skipped_by_tokens += held - int(alive.sum())
    stats.row_groups += int(alive.sum())
    return alive


def _unsure(index: BlockIndex, requirement: Requirement) -> Mask:
    """The row groups that a requirement says nothing of."""
    name, groups = requirement.label, len(index.group_start) - 1
    if not name:
        return np.zeros(groups, np.bool_)
    stored = name in index.streams.names or name in index.attributes or name in FIXED_LABELS or name in IMPLIED
    fields = None if stored or OVERFLOW in index.columns else index.fields()
    sure = fields is not None and (requirement.unescaped or name in fields.labels)
    return ~fields.whole[requirement.parser] if fields is not None and sure else np.ones(groups, np.bool_)


def _rows_before(
    index: BlockIndex, before: npt.NDArray[np.int64], wanted: Mask, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """How many rows of wanted streams lie before each row."""
    stream = np.minimum(np.searchsorted(index.first_row, rows, side="right") - 1, len(wanted) - 1)
    return before[stream] + np.where(wanted[stream], rows - index.first_row[stream], 0)


def _group_unit(
    index: BlockIndex,
    group: int,
    wanted: Mask,
    selection: Selection,
    hide: Callable[[Rows], Rows] | None,
    within: Ranges | None = None,
) -> Unit:
    """One row group; `within`: the rows of the block that are looked at, all where not given."""

    def open_() -> Rows:
        chunk = group_chunk(index, group)
        at = _wanted_rows(index, chunk, group, wanted) if within is None else _rows_within(index, group, within)
        rows = in_time(Rows(chunk, at), selection)
        return rows if hide is None else hide(rows)

    held = int(index.group_start[group + 1] - index.group_start[group])
    return Unit(int(index.group_min[group]), int(index.group_max[group]), held, open_, index.damaged)


def _rows_within(index: BlockIndex, group: int, ranges: Ranges) -> npt.NDArray[np.int64]:
    """The rows of a group that lie in ranges of the block's."""
    start, end = int(index.group_start[group]), int(index.group_start[group + 1])
    low, high = np.clip(ranges[0], start, end) - start, np.clip(ranges[1], start, end) - start
    parts = [np.arange(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True) if a < b]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _wanted_rows(index: BlockIndex, chunk: Chunk, group: int, wanted: Mask) -> npt.NDArray[np.int64]:
    start, end = int(index.group_start[group]), int(index.group_start[group + 1])
    if wanted.all():
        return np.arange(end - start)
    first = int(np.searchsorted(index.first_row, start, side="right")) - 1
    last = int(np.searchsorted(index.first_row, end, side="left"))
    ranges = [
        np.arange(max(int(index.first_row[s]), start) - start, min(int(index.first_row[s + 1]), end) - start)
        for s in range(first, last)
        if wanted[s]
    ]
    return np.concatenate(ranges) if ranges else np.empty(0, np.int64)


def in_time(rows: Rows, selection: Selection) -> Rows:
    """The rows inside the selection's time; times are read only where the chunk reaches past it."""
    if rows.chunk.min_ns >= selection.start_ns and rows.chunk.max_ns < selection.end_ns:
        return rows
    times = rows.times()
    return rows.keep((times >= selection.start_ns) & (times < selection.end_ns))
