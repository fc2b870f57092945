"""Traces and logs by kernels over the wire bytes; the same tables as `obs.otlp.slow`.

In: a protobuf body. Out: Decoded. Raises: Rare where the slow path must look, UserError.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from obs.errors import UserError
from obs.model.batch import Batch, Decoded, Signal
from obs.model.schema import EVENT, LINK, LOGS, SPAN_ID, SPANS, TRACE_ID
from obs.otlp import arrays, reasons
from obs.otlp import kernels as kn
from obs.otlp.messages import AnyValue, Event, Link, parse
from obs.otlp.values import json_object, json_text
from obs.otlp.work import Array, Rare, Work, check, with_room

_I64, _U32, _U8 = pa.int64(), pa.uint32(), pa.uint8()


def decode_traces(body: bytes) -> Decoded:
    """Spans of an ExportTraceServiceRequest."""
    return with_room(_traces, body)


def decode_logs(body: bytes, now_ns: int | None = None) -> Decoded:
    """Records of an ExportLogsServiceRequest."""
    return with_room(partial(_logs, time.time_ns() if now_ns is None else now_ns), body)


def rejections(counts: Array) -> dict[str, int]:
    """Refused items by reason."""
    return {reasons.ORDER[i - 1]: c for i, c in enumerate(counts[kn.REASONS :].tolist()) if c}


def _decoded(signal: Signal, batch: pa.RecordBatch | None, counts: Array) -> Decoded:
    return Decoded(Batch(signal, {} if batch is None else {signal.item_table: batch}), rejections(counts))


class _Scopes:
    """What rows take from their resource and scope: columns, and the scope's name and version."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.resource = work.group_keys(work.groups, 1, kn.HARD_RESOURCE)
        self.scope = work.group_keys(work.scoped, 3, kn.HARD_SCOPE)
        self._names = work.table("names", 4, work.scoped.shape[1])
        check(kn.scope_names(work.buf, work.scoped, self._names))

    def columns(self, scope_of_row: Array, n: int) -> list[arrays.Column]:
        work = self._work
        group_of_row = work.scoped[kn.GROUP][scope_of_row]
        return [
            *arrays.group_columns("resource", work.buf, self.resource, group_of_row, work.groups.shape[1], n),
            *arrays.group_columns("scope", work.buf, self.scope, scope_of_row, work.scoped.shape[1], n),
        ]

    def names(self, scope_of_row: Array, n: int) -> list[pa.Array]:
        return [arrays.spread(self._work.buf, self._names[i], self._names[i + 1], scope_of_row, n) for i in (0, 2)]


def _write_hard(kind: int, raw: bytes) -> str:
    try:
        if kind == kn.HARD_EVENT:
            return json_object(parse(Event, raw, "a span event").attributes)
        if kind == kn.HARD_LINK:
            return json_object(parse(Link, raw, "a span link").attributes)
        return json_text(parse(AnyValue, raw, "a value"))
    except UserError:
        raise Rare from None


def _finish_texts(work: Work, scopes: _Scopes, k: Array, others: dict[Any, tuple[Array, int]]) -> None:
    """Let Python write the hard JSON; `others`: by kind, the table and the field that hold its range."""
    keys: dict[Any, Array] = {kn.HARD_ATTRIBUTE: k, kn.HARD_RESOURCE: scopes.resource, kn.HARD_SCOPE: scopes.scope}

    def place(kind: int, index: int, at: int, stop: int) -> None:
        if kind in keys:
            first = kn.ENTRIES + kn.ENTRY_SIZE * index + 2
            keys[kind][first : first + 2] = at, stop
        else:
            table, field = others[kind]
            table[field : field + 2, index] = at, stop

    work.write_hard(_write_hard, place)


def _counts() -> Array:
    return np.zeros(32, np.int64)


def _traces(work: Work) -> Decoded:
    items = work.items.shape[1]
    scopes = _Scopes(work)
    rows, trace, counts = work.table("rows", kn.SPAN_FIELDS, items), work.words("trace", 2 * items), _counts()
    events = work.table("events", kn.EVENT_FIELDS, work.room(2, 64))
    links = work.table("links", kn.LINK_FIELDS, work.room(2, 64))
    k = work.keys("keys", work.room(2, 16))
    check(kn.walk_spans(work.buf, work.items, rows, trace, events, links, k, work.t, counts))
    _finish_texts(work, scopes, k, {kn.HARD_EVENT: (events, kn.EVENT_JSON), kn.HARD_LINK: (links, kn.LINK_JSON)})
    n, n_events, n_links = counts[:3].tolist()
    if n == 0:
        return _decoded(Signal.TRACES, None, counts)
    lists = [
        _listed(EVENT, n, rows[kn.EVENTS_END], _event_arrays(work.buf, events, n_events)),
        _listed(LINK, n, rows[kn.LINKS_END], _link_arrays(work.buf, links, n_links)),
    ]
    scope = rows[kn.SCOPE, :n]
    fixed = _span_arrays(work.buf, rows, trace, n, scopes.names(scope, n), lists)
    found = [*scopes.columns(scope, n), *arrays.columns("attr", work.buf, k, n)]
    return _decoded(Signal.TRACES, arrays.batch(SPANS, fixed, found), counts)


def _span_arrays(
    buf: Array, rows: Array, trace: Array, n: int, names: list[pa.Array], lists: list[pa.Array]
) -> list[pa.Array]:
    return [
        arrays.values(TRACE_ID, n, trace),
        arrays.values(SPAN_ID, n, rows[kn.SPAN_ID]),
        arrays.ids(SPAN_ID, n, rows[kn.PARENT]),
        arrays.texts(buf, rows[kn.STATE], rows[kn.STATE + 1], n),
        arrays.values(_U32, n, rows[kn.FLAGS]),
        arrays.dictionary(buf, rows[kn.NAME], rows[kn.NAME + 1], n, nullable=False),
        arrays.values(_U8, n, rows[kn.KIND]),
        arrays.values(_I64, n, rows[kn.START]),
        arrays.values(_I64, n, rows[kn.END]),
        arrays.values(_U8, n, rows[kn.STATUS]),
        arrays.texts(buf, rows[kn.MESSAGE], rows[kn.MESSAGE + 1], n),
        *names,
        *lists,
        *(arrays.values(_U32, n, rows[kn.DROPPED_ATTRIBUTES + i]) for i in range(3)),
    ]


def _listed(type_: pa.DataType, n: int, ends: Array, children: list[pa.Array]) -> pa.Array:
    offsets = np.zeros(n + 1, np.int32)
    offsets[1:] = ends[:n]
    structs = pa.Array.from_buffers(type_, len(children[0]), [None], children=children)
    return pa.Array.from_buffers(pa.list_(type_), n, [None, pa.py_buffer(offsets)], children=[structs])


def _event_arrays(buf: Array, events: Array, n: int) -> list[pa.Array]:
    return [
        arrays.values(_I64, n, events[kn.EVENT_TIME]),
        arrays.texts(buf, events[kn.EVENT_NAME], events[kn.EVENT_NAME + 1], n, nullable=False),
        arrays.texts(buf, events[kn.EVENT_JSON], events[kn.EVENT_JSON + 1], n, nullable=False),
        arrays.values(_U32, n, events[kn.EVENT_DROPPED]),
    ]


def _link_arrays(buf: Array, links: Array, n: int) -> list[pa.Array]:
    first, second = links[kn.LINK_TRACE, :n], links[kn.LINK_TRACE + 1, :n]
    return [
        arrays.ids(TRACE_ID, n, np.column_stack([first, second]).ravel(), first | second),
        arrays.ids(SPAN_ID, n, links[kn.LINK_SPAN]),
        arrays.texts(buf, links[kn.LINK_STATE], links[kn.LINK_STATE + 1], n),
        arrays.texts(buf, links[kn.LINK_JSON], links[kn.LINK_JSON + 1], n, nullable=False),
        arrays.values(_U32, n, links[kn.LINK_DROPPED]),
        arrays.values(_U32, n, links[kn.LINK_FLAGS]),
    ]


def _logs(now_ns: int, work: Work) -> Decoded:
    items = work.items.shape[1]
    scopes = _Scopes(work)
    rows, trace, counts = work.table("rows", kn.LOG_FIELDS, items), work.words("trace", 2 * items), _counts()
    k = work.keys("keys", work.room(2, 16))
    check(kn.walk_logs(work.buf, work.items, rows, trace, k, work.t, counts, now_ns))
    _finish_texts(work, scopes, k, {kn.HARD_BODY: (rows, kn.BODY)})
    n = int(counts[kn.N_ROWS])
    if n == 0:
        return _decoded(Signal.LOGS, None, counts)
    scope = rows[kn.L_SCOPE, :n]
    fixed = _log_arrays(work.buf, rows, trace, n, scopes.names(scope, n))
    found = [*scopes.columns(scope, n), *arrays.columns("attr", work.buf, k, n)]
    return _decoded(Signal.LOGS, arrays.batch(LOGS, fixed, found), counts)


def _log_arrays(buf: Array, rows: Array, trace: Array, n: int, names: list[pa.Array]) -> list[pa.Array]:
    return [
        arrays.values(_I64, n, rows[kn.TIME]),
        arrays.values(_I64, n, rows[kn.OBSERVED]),
        arrays.values(_U8, n, rows[kn.SEVERITY]),
        arrays.dictionary(buf, rows[kn.SEVERITY_TEXT], rows[kn.SEVERITY_TEXT + 1], n),
        _bodies(buf, rows, n),
        arrays.values(_U8, n, rows[kn.BODY_TYPE]),
        arrays.ids(TRACE_ID, n, trace, trace[: 2 * n : 2] | trace[1 : 2 * n : 2]),
        arrays.ids(SPAN_ID, n, rows[kn.L_SPAN_ID]),
        arrays.values(_U32, n, rows[kn.L_FLAGS]),
        arrays.dictionary(buf, rows[kn.L_EVENT_NAME], rows[kn.L_EVENT_NAME + 1], n),
        *names,
        arrays.values(_U32, n, rows[kn.L_DROPPED]),
    ]


def _bodies(buf: Array, rows: Array, n: int) -> pa.Array:
    """The bodies: null where there is none, while an empty text is a text."""
    text = arrays.texts(buf, rows[kn.BODY], rows[kn.BODY + 1], n, nullable=False)
    bits, nulls = kn.pack(rows[kn.BODY_TYPE], n)
    if not nulls:
        return text
    return pa.Array.from_buffers(text.type, n, [pa.py_buffer(bits), *text.buffers()[1:]])
