"""What a delete means here: samples, histograms and exemplars of some series in a range of time.

A tombstone of the engine holds times and series ids; `Deleted` is any number of them, asked for many rows at once.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.columnar.tombstones import Tombstone
from obs.model.schema import DAY_MS
from obs.tsdb.filenames import EXEMPLARS, HISTOGRAMS, SAMPLES, SERIES, STARTS
from obs.tsdb.rows import whole
from obs.tsdb.spans import Spans

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Tables = Mapping[str, pa.Table]

_RANGE = struct.Struct("<qq")  # start_ms, end_ms; the ids follow


def encode(ids: U64, start_ms: int, end_ms: int) -> bytes:
    """A tombstone's payload: series in start..end (inclusive)."""
    return _RANGE.pack(start_ms, end_ms) + np.unique(ids).astype("<u8").tobytes()


def decode(payload: bytes) -> tuple[U64, int, int]:
    """Series ids (rising, each once), start and end in milliseconds, both inclusive."""
    start_ms, end_ms = _RANGE.unpack_from(payload)
    return np.frombuffer(payload, "<u8", offset=_RANGE.size), start_ms, end_ms


@dataclass(frozen=True, slots=True)
class Deleted:
    """Key k (a series id or ordinal) has intervals first[k]:first[k+1], by start; `reach` is the last end so far."""

    keys: U64  # rising, each once
    first: I64
    starts: I64
    reach: I64

    @classmethod
    def of(cls, tombstones: Sequence[Tombstone]) -> Deleted:
        """The intervals of all, by series id."""
        return cls.of_intervals(*_intervals(tombstones))

    @classmethod
    def of_intervals(cls, keys: U64, starts: I64, ends: I64) -> Deleted:
        """Interval i is of keys[i], from starts[i] to ends[i], both inclusive."""
        order = np.lexsort((starts, keys))
        keys, starts, ends = keys[order], starts[order], ends[order]
        distinct, first = np.unique(keys, return_index=True)
        by_end, rank = np.unique(ends, return_inverse=True)
        part = np.repeat(np.arange(len(distinct)), np.diff([*first, len(keys)])) * len(by_end)
        reach = by_end[np.maximum.accumulate(part + rank) - part] if len(keys) else ends
        return cls(distinct, np.append(first, len(keys)), starts, reach)

    def with_keys(self, keys: npt.NDArray[np.int32]) -> Deleted:
        """The same by other keys, given for each; those below zero are left out."""
        each = np.repeat(keys.astype(np.int64), np.diff(self.first))
        known = each >= 0
        return Deleted.of_intervals(each[known].astype(np.uint64), self.starts[known], self.reach[known])

    def has(self, keys: npt.NDArray[np.integer]) -> Mask:
        """Which keys have any interval."""
        return self._places(keys)[1]

    def hides(self, keys: npt.NDArray[np.integer], t_ms: I64, until_ms: I64 | None = None) -> Mask:
        """Which rows are in an interval of their key; with `until_ms`, all of t..until in a single one."""
        ends, inside = self.ends(keys, t_ms)
        return inside if until_ms is None else inside & (until_ms <= ends)

    def ends(self, keys: npt.NDArray[np.integer], t_ms: I64) -> tuple[I64, Mask]:
        """Where the interval that each row is in ends, and which rows are in one."""
        ends, inside = np.zeros(len(t_ms), np.int64), np.zeros(len(t_ms), np.bool_)
        place, hit = self._places(keys)
        rows = np.flatnonzero(hit)
        low, t = self.first[place[rows]], t_ms[rows]
        begin, high = low, self.first[place[rows] + 1]
        while len(rows) and bool((low < high).any()):  # the first interval that starts after t
            middle = (low + high) // 2
            before = (low < high) & (self.starts[np.minimum(middle, len(self.starts) - 1)] <= t)
            low, high = np.where(before, middle + 1, low), np.where(before, high, middle)
        ends[rows] = self.reach[low - 1]
        inside[rows] = (low > begin) & (ends[rows] >= t)
        return ends, inside

    def _places(self, keys: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.intp], Mask]:
        """Where each key stands, and whether it does."""
        if not len(self.keys):
            return np.zeros(len(keys), np.intp), np.zeros(len(keys), np.bool_)
        keys = keys.astype(np.uint64, copy=False)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return place, self.keys[place] == keys

    def strip(self, spans: Spans) -> Spans:
        """Spans of ordinals, one after the other, without hidden rows; `Deleted` is by ordinals too."""
        has = self.has(spans.ordinals)
        if not has.any():
            return spans
        sizes = spans.stops - spans.starts
        gone = np.repeat(has, sizes)
        gone[gone] = self.hides(np.repeat(spans.ordinals[has], sizes[has]), spans.t_ms[gone])
        kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(~gone)])
        return Spans(spans.ordinals, kept[spans.starts], kept[spans.stops], spans.t_ms[~gone], spans.values[~gone])


def _intervals(tombstones: Sequence[Tombstone]) -> tuple[U64, I64, I64]:
    """Ids, starts and ends, as the tombstones have them."""
    found = [decode(t.payload) for t in tombstones]
    counts = [len(ids) for ids, _, _ in found]
    ids = np.concatenate([np.empty(0, np.uint64), *(ids for ids, _, _ in found)])
    starts, ends = (np.repeat(np.array([d[i] for d in found], np.int64), counts) for i in (1, 2))
    return ids, starts, ends


def intervals(tombstones: Sequence[Tombstone]) -> pa.Table:
    """What is deleted: series_id, start_ms, end_ms (inclusive)."""
    ids, starts, ends = _intervals(tombstones)
    return pa.table({"series_id": ids, "start_ms": starts, "end_ms": ends})


def without(table: pa.Table, tombstones: Sequence[Tombstone]) -> pa.Table:
    """Rows that have `series_id` and `t_ms`, but for those that are hidden."""
    if not tombstones or not table.num_rows:
        return table
    gone = Deleted.of(tombstones).hides(whole(table.column("series_id")), whole(table.column("t_ms")))
    return table.filter(pa.array(~gone)) if gone.any() else table


def starts_without(table: pa.Table, tombstones: Sequence[Tombstone]) -> pa.Table:
    """Rows of starts; those that are hidden hold on after what is deleted, if that ends on their day."""
    if not tombstones or not table.num_rows:
        return table
    deleted = Deleted.of(tombstones)
    ids, t_ms = whole(table.column("series_id")), whole(table.column("t_ms"))
    if not deleted.hides(ids, t_ms).any():
        return table
    order = np.argsort(t_ms, kind="stable")  # of those that come to hold from one time on, the last is to win
    ids, day, t_ms = ids[order], t_ms[order] // DAY_MS, t_ms[order]
    held = np.ones(len(ids), np.bool_)
    while True:
        ends, inside = deleted.ends(ids, t_ms)
        hidden = held & inside
        if not hidden.any():
            break
        held &= ~hidden | (ends // DAY_MS == day)
        t_ms = np.where(hidden & held, ends + 1, t_ms)
    held &= t_ms // DAY_MS == day
    column = pa.array(t_ms[held])
    left = table.take(pa.array(order[held]))
    return left.set_column(left.schema.get_field_index("t_ms"), left.schema.field("t_ms"), column)


def erase(tables: Tables, tombstones: Sequence[Tombstone]) -> Tables:
    """All tables of a head, a segment or a block without hidden rows, and without series that have none left."""
    left = dict(tables)
    samples, series = tables[SAMPLES], tables[SERIES]
    for name in (HISTOGRAMS, EXEMPLARS):
        left[name] = without(tables[name], tombstones)
    left[STARTS] = starts_without(tables[STARTS], tombstones)
    if "ordinal" in samples.column_names:
        left[SAMPLES], left[SERIES] = _block_rows(samples, series, left[EXEMPLARS], Deleted.of(tombstones))
        if left[STARTS].num_rows:
            of_left = pc.is_in(left[STARTS].column("series_id"), left[SERIES].column("series_id"))
            left[STARTS] = left[STARTS].filter(of_left)
    else:
        left[SAMPLES] = without(samples, tombstones)
        left[SERIES] = _having_rows(series, left[SAMPLES], left[EXEMPLARS])
    return left


def _block_rows(
    samples: pa.Table, series: pa.Table, exemplars: pa.Table, deleted: Deleted
) -> tuple[pa.Table, pa.Table]:
    """A block's samples and series; the samples of each series follow each other in the order of the series."""
    counts = whole(series.column("rows"))
    ids = whole(series.column("series_id"))
    alive = ~deleted.hides(np.repeat(ids, counts), whole(samples.column("t_ms")))
    kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(alive)])
    ends = kept[np.cumsum(counts)]
    first = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    for name, values in (("rows", ends - first), ("first_row", first)):
        series = series.set_column(series.schema.get_field_index(name), name, pa.array(values))
    held = (ends > first) | np.isin(ids, _ids(exemplars))
    return samples.filter(pa.array(alive)), series.filter(pa.array(held))


def _having_rows(series: pa.Table, samples: pa.Table, exemplars: pa.Table) -> pa.Table:
    if not series.num_rows:
        return series
    held = np.isin(whole(series.column("series_id")), np.concatenate([_ids(samples), _ids(exemplars)]))
    return series.filter(pa.array(held))


def _ids(table: pa.Table) -> U64:
    return np.unique(whole(table.column("series_id"))) if table.num_rows else np.empty(0, np.uint64)
