"""Metrics by kernels over the wire bytes; the same tables as `obs.otlp.slow_metrics`.

A warm body takes two kernel calls and no Python object per point. Python only looks at identities new to the cache,
at deltas, at exemplars and at exponential histograms. In: a protobuf body, the cache. Out: Decoded. Raises: Rare.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from itertools import chain

import numpy as np
import pyarrow as pa

from obs.errors import UserError
from obs.model.batch import Decoded
from obs.model.labels import Labels
from obs.model.schema import SAMPLES, STARTS
from obs.otlp import kernels as kn
from obs.otlp import messages, points, reasons
from obs.otlp.draft import Draft, metadata_key
from obs.otlp.fast import rejections
from obs.otlp.identity import Family, Target, make_family, make_target, scope_labels
from obs.otlp.limits import MAX_ITEMS, MAX_LABELS
from obs.otlp.messages import Message, parse, text
from obs.otlp.series_cache import SeriesCache
from obs.otlp.slots import PENDING, STATE, STORED, Int64s, Slots
from obs.otlp.slow_metrics import add_exemplars, point_labels
from obs.otlp.work import Rare, Work, check, with_room

_POINT_CLASSES = {
    5: messages.NumberDataPoint,
    7: messages.NumberDataPoint,
    9: messages.HistogramDataPoint,
    10: messages.ExponentialHistogramDataPoint,
    11: messages.SummaryDataPoint,
}


def decode_metrics(body: bytes, cache: SeriesCache) -> Decoded:
    """Samples of an ExportMetricsServiceRequest."""
    try:
        return with_room(partial(_metrics, cache), body)
    except _Unreadable:
        raise Rare from None


class _Unreadable(Exception):
    """A piece that Python had to parse is malformed."""


def _metrics(cache: SeriesCache, work: Work) -> Decoded:
    draft = Draft(cache)
    slots = draft.slots
    walk = _Walk(work, slots)
    resolver = _Resolver(work, walk, cache, slots, draft)
    resolver.resolve()
    counts = walk.counts
    samples = walk.emit()
    if counts[kn.N_BEGUN]:
        draft.begun(*walk.starts())
    used = list(dict.fromkeys(walk.used[: counts[kn.N_USED]].tolist()))
    for slot in used:
        for series_id, labels in zip(slots.ids_of(slot), slots.labels.get(slot, ()), strict=False):
            draft.note(series_id, labels)
    used += resolver.families()
    return draft.finish(samples, rejections(counts), used)


class _Walk:
    """One body's points, values and samples."""

    def __init__(self, work: Work, slots: Slots) -> None:
        self._slots = slots
        items, groups = work.items.shape[1], work.groups.shape[1]
        self.groups = work.table("found", kn.GROUP_FIELDS, groups)
        self.metrics = work.table("metrics", kn.METRIC_FIELDS, items)
        self._p = work.table("points", kn.POINT_FIELDS, min(work.room(2, 24), MAX_ITEMS))
        self._values = work.words("values", work.size // (1 if work.roomy else 8) + 1024)
        self.counts = np.zeros(32, np.int64)
        memory = work.words("point", kn.POINT_MEMORY + 16 + 2 * (work.size // 2 + 16 if work.roomy else 2048))
        check(
            kn.walk_points(
                work.buf, work.groups, work.scoped, work.items, slots.seed, slots.table, slots.info, self.groups,
                self.metrics, self._p, self._values, memory, self.counts,
            )
        )  # fmt: skip
        self.p = self._p[:, : self.counts[kn.N_POINTS]]
        self.values: list[float] = []

    def append_values(self, index: int, values: list[float]) -> None:
        """Give a point other values than the kernel wrote."""
        self.p[kn.P_VALUES, index], self.p[kn.P_COUNT, index] = self.counts[kn.N_VALUES] + len(self.values), len(values)
        self.values += values

    def values_of(self, index: int) -> list[float]:
        """The values of a point."""
        at = self.p[kn.P_VALUES, index]
        found: list[float] = self._values[at : at + self.p[kn.P_COUNT, index]].view(np.float64).tolist()
        return found

    def settle_news(self, index: int, is_news: bool) -> None:
        """Whether a point's start is news, where the kernel could not say."""
        kept = self.p[kn.P_FLAGS, index] & ~kn.IS_NEWS
        self.p[kn.P_FLAGS, index] = kept | (kn.IS_NEWS if is_news else 0)
        self.counts[kn.N_BEGUN] += is_news

    def emit(self) -> pa.RecordBatch:
        """The samples, once every point has a slot."""
        values = self._values
        if self.values:
            more = np.array(self.values, np.float64).view(np.int64)
            values = np.concatenate([values[: self.counts[kn.N_VALUES]], more])
        total = int(self.p[kn.P_COUNT].sum()) + self.groups.shape[1]
        samples = np.empty((3, total), np.int64)
        self.used = np.empty(self.p.shape[1] + self.groups.shape[1], np.int64)
        slots = self._slots
        kn.emit(self._p, values, self.groups, self.metrics, slots.info, slots.ids, samples, self.used, self.counts)
        return _table(SAMPLES, samples, int(self.counts[kn.N_SAMPLES]))

    def starts(self) -> tuple[pa.RecordBatch, Int64s]:
        """The starts that are news, and what slots are to remember, once the samples are emitted."""
        slots, counts = self._slots, self.counts
        of_news = self.p[kn.P_COUNT, self.p[kn.P_FLAGS] & kn.IS_NEWS != 0]
        starts, begun = np.empty((3, of_news.sum()), np.int64), np.empty((3, len(of_news)), np.int64)
        kn.emit_starts(self._p, slots.info, slots.ids, starts, begun, counts)
        return _table(STARTS, starts, int(counts[kn.N_STARTS])), begun[:, : counts[kn.N_BEGUN]]


def _table(schema: pa.Schema, columns: Int64s, rows: int) -> pa.RecordBatch:
    """The first rows of int64[column, row] as a table of numbers of 64 bits without nulls."""
    arrays = [
        pa.Array.from_buffers(field.type, rows, [None, pa.py_buffer(column)])
        for field, column in zip(schema, columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


class _Resolver:
    """Gives slots to what is new, and does for single points what kernels leave to Python."""

    def __init__(self, work: Work, walk: _Walk, cache: SeriesCache, slots: Slots, draft: Draft) -> None:
        self._work, self._walk, self._cache, self._slots, self._draft = work, walk, cache, slots, draft
        self._targets: dict[int, Target] = {}
        self._scopes: dict[int, dict[str, str]] = {}
        self._families: dict[int, Family] = {}

    def _parse(self, kind: Message, at: int, stop: int) -> Message:
        try:
            return parse(kind, self._work.body[at:stop], "a part of a metrics request")
        except UserError:
            raise _Unreadable from None

    def _target(self, group: int) -> Target:
        if group not in self._targets:
            resource = self._parse(messages.Resource, *self._work.groups[:, group].tolist())
            self._targets[group] = make_target(resource)
        return self._targets[group]

    def _scope(self, scoped: int) -> dict[str, str]:
        if scoped not in self._scopes:
            at, stop, url_at, url_stop, _ = self._work.scoped[:, scoped].tolist()
            scope = self._parse(messages.InstrumentationScope, at, stop)
            self._scopes[scoped] = scope_labels(scope, text(self._work.body[url_at:url_stop]))
        return self._scopes[scoped]

    def _family(self, item: int) -> Family:
        if item not in self._families:
            at, stop, _ = self._work.items[:, item].tolist()
            self._families[item] = make_family(self._parse(messages.Metric, at, stop))
        return self._families[item]

    def resolve(self) -> None:
        """A slot for every group and point; totals for deltas; exemplars."""
        groups, p = self._walk.groups, self._walk.p
        for group in np.flatnonzero(groups[kn.G_SLOT] < 0).tolist():
            groups[kn.G_SLOT, group] = self._info_slot(group, *groups[: kn.G_SLOT, group].tolist())
        flags = p[kn.P_FLAGS]
        special = flags & (kn.HAS_EXEMPLARS | kn.IS_DELTA | kn.FOR_PYTHON)
        for index in np.flatnonzero((p[kn.P_SLOT] < 0) | (special != 0)).tolist():
            self._point(index, int(flags[index]))

    def _point(self, index: int, flags: int) -> None:
        p = self._walk.p
        column = p[:, index].tolist()
        slot = column[kn.P_SLOT]
        message = None
        if slot < 0 or flags & (kn.HAS_EXEMPLARS | kn.FOR_PYTHON):
            kind = _POINT_CLASSES[int(self._walk.metrics[kn.M_KIND, column[kn.P_METRIC]])]
            message = self._parse(kind, column[kn.P_AT], column[kn.P_STOP])
        h1, h2 = column[kn.P_H1], column[kn.P_H2]
        if flags & kn.FOR_PYTHON:
            if points.fault(message) == reasons.HISTOGRAM:
                p[kn.P_SLOT, index] = -2 - reasons.ORDER.index(reasons.HISTOGRAM)
                return
            h1, h2 = _with_layout(h1, h2, message)
            self._walk.append_values(index, points.values(message))
        if slot < 0:
            slot = p[kn.P_SLOT, index] = self._slot(h1, h2, lambda: self._point_labels(column, message))
        if flags & (kn.HAS_EXEMPLARS | kn.IS_DELTA | kn.FOR_PYTHON) and self._slots.info[slot, STATE] >= 0:
            self._finish(index, slot, flags, column, message)

    def _finish(self, index: int, slot: int, flags: int, column: list[int], message: Message) -> None:
        ids, t_ms = self._slots.ids_of(slot), column[kn.P_TIME]
        native = points.native(message) if flags & kn.FOR_PYTHON else None
        if flags & kn.IS_DELTA and not flags & kn.IS_STALE:
            values = points.values(message) if flags & kn.FOR_PYTHON else self._walk.values_of(index)
            totals = self._draft.increments.cumulate(ids, t_ms, values, column[kn.P_START], native)
            if totals is None:
                self._walk.p[kn.P_SLOT, index] = -2 - reasons.ORDER.index(reasons.DELTA_ORDER)
                return
            self._walk.append_values(index, [total.value for total in totals])
            column[kn.P_START] = self._walk.p[kn.P_START, index] = totals[0].start_ns
            native = totals[0].columns()
        if flags & (kn.IS_DELTA | kn.FOR_PYTHON) and not flags & kn.IS_STALE:
            self._walk.settle_news(index, self._slots.is_news(slot, column[kn.P_START], t_ms))
        if native is not None:
            self._draft.histogram(ids[0], t_ms, native)
        if flags & kn.HAS_EXEMPLARS:
            add_exemplars(self._draft, ids, message)

    def _point_labels(self, column: list[int], message: Message) -> list[Labels]:
        item, group = column[kn.P_METRIC], column[kn.P_GROUP]
        scope = self._scope(int(self._work.items[2, item]))
        return point_labels(self._target(group), scope, self._family(item), message, self._draft.typed)

    def _info_slot(self, group: int, h1: int, h2: int) -> int:
        info = self._target(group).info
        return self._slot(h1, h2, lambda: [info] if info else [])

    def _slot(self, h1: int, h2: int, make_labels: Callable[[], list[Labels]]) -> int:
        found = self._slots.find(h1, h2)
        if found >= 0:
            return found
        labels = make_labels()
        ids = [self._draft.series_id(ls) for ls in labels]
        state = STORED if all(map(self._draft.is_known, ids)) else PENDING
        if any(len(ls) > MAX_LABELS for ls in labels):
            ids, labels, state = [], [], -1 - reasons.ORDER.index(reasons.LABELS)
        with self._cache.lock:
            found = self._slots.find(h1, h2)
            if found < 0:
                found = self._slots.add(h1, h2, ids, state)
                if state == PENDING:
                    self._slots.labels[found] = labels
        return found

    def families(self) -> list[int]:
        """Note the metadata of metrics that have samples; returns the slots that are pending for it."""
        metrics = self._walk.metrics
        pending = []
        taken = np.flatnonzero(metrics[kn.M_TAKEN])
        slots = metrics[kn.M_SLOT, taken]
        for item in taken[(slots < 0) | (self._slots.info[slots, STATE] == PENDING)].tolist():
            slot = int(metrics[kn.M_SLOT, item])
            if slot < 0:
                slot = self._family_slot(item, *metrics[kn.M_H1 : kn.M_SLOT, item].tolist())
            if self._slots.info[slot, STATE] == PENDING:
                key = self._slots.families.get(slot)
                if key:
                    self._draft.family(key)
                    pending.append(slot)
        return pending

    def _family_slot(self, item: int, h1: int, h2: int) -> int:
        found = self._slots.find(h1, h2)
        if found >= 0:
            return found
        key = metadata_key(self._family(item))
        state = STORED if self._draft.is_known_family(key) else PENDING
        with self._cache.lock:
            found = self._slots.find(h1, h2)
            if found < 0:
                found = self._slots.add(h1, h2, [], state)
                if state == PENDING:
                    self._slots.families[found] = key
        return found


def _with_layout(h1: int, h2: int, point: Message) -> tuple[int, int]:
    """The identity of an exponential histogram's point: with what decides its bounds, where they have series."""
    if points.is_native(point):
        return h1, h2
    sides = chain.from_iterable((b.offset, len(b.bucket_counts)) for b in (point.positive, point.negative))
    shape = struct.pack("<2q6qd", h1, h2, point.scale, *sides, point.HasField("sum"), point.zero_threshold)
    first, second = struct.unpack("<2q", blake2b(shape, digest_size=16).digest())
    return first, second
