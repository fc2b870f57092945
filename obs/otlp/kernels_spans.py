"""Spans: each item of the outline to a row. Source: opentelemetry/proto/trace/v1/trace.proto.

Rows, events and links are int64[field, index]; texts are a pair of fields, start and stop. Trace ids lie apart.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np

from obs.otlp.kernels_attributes import N_ENTRIES, add_attribute
from obs.otlp.kernels_json import JSON_AT, N_HARD, disown_hard, keep_object
from obs.otlp.kernels_outline import AT, SCOPED, STOP
from obs.otlp.kernels_wire import (
    FULL,
    I32,
    I64,
    LEN,
    MALFORMED,
    OK,
    VARINT,
    fixed32,
    fixed64,
    id_word,
    inlined,
    inner,
    kernel,
    length,
    skip,
    small_enum,
    tag,
    varint,
)

HARD_ATTRIBUTE, HARD_RESOURCE, HARD_SCOPE, HARD_EVENT, HARD_LINK, HARD_BODY = np.arange(6)
R_TRACE_ID, R_SPAN_ID, R_PARENT_ID, R_TIME = 1, 2, 3, 4
"""Positions in `reasons.ORDER`, plus one."""
N_ROWS, N_EVENTS, N_LINKS = 0, 1, 2
REASONS = 8
"""Where in the counts the refusals begin."""

(SPAN_ID, PARENT, START, END, KIND, STATUS, FLAGS, DROPPED_ATTRIBUTES, DROPPED_EVENTS, DROPPED_LINKS) = range(10)
EVENT_ATTRIBUTES, LINK_ATTRIBUTES = np.int64(3), np.int64(4)
STATE, NAME, MESSAGE, SCOPE, EVENTS_END, LINKS_END, SPAN_FIELDS = 10, 12, 14, 16, 17, 18, 19
EVENT_TIME, EVENT_NAME, EVENT_JSON, EVENT_DROPPED, EVENT_FIELDS = np.array([0, 1, 3, 5, 6])
LINK_TRACE, LINK_SPAN, LINK_STATE, LINK_JSON, LINK_DROPPED, LINK_FLAGS, LINK_FIELDS = np.array([0, 2, 3, 5, 7, 8, 9])


@inner
def _event(buf, begin, end, index, events, t):
    """Fill in an event; returns a code."""
    if index == events.shape[1]:
        return FULL
    time, dropped = np.int64(0), np.int64(0)
    name = name_stop = at = begin
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return MALFORMED
        if number == 1 and wire == I64:
            time, at = fixed64(buf, at, end)
        elif number == 2 and wire == LEN:
            name, name_stop = length(buf, at, end)
            at = name_stop
        elif number == 4 and wire == VARINT:
            dropped, at = varint(buf, at, end)
        else:
            at = skip(buf, at, end, wire)
        if at < 0:
            return MALFORMED
    events[EVENT_TIME, index], events[EVENT_DROPPED, index] = time, dropped
    events[EVENT_NAME, index], events[EVENT_NAME + 1, index] = name, name_stop
    return keep_object(buf, begin, end, EVENT_ATTRIBUTES, t, HARD_EVENT, index, events, EVENT_JSON)


@inner
def _link(buf, begin, end, index, links, t):
    """Fill in a link; returns a code. Ids of another length become zero, which stands for null."""
    if index == links.shape[1]:
        return FULL
    dropped, flags = np.int64(0), np.int64(0)
    trace = trace_stop = span = span_stop = state = state_stop = at = begin
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return MALFORMED
        if number == 1 and wire == LEN:
            trace, trace_stop = length(buf, at, end)
            at = trace_stop
        elif number == 2 and wire == LEN:
            span, span_stop = length(buf, at, end)
            at = span_stop
        elif number == 3 and wire == LEN:
            state, state_stop = length(buf, at, end)
            at = state_stop
        elif number == 5 and wire == VARINT:
            dropped, at = varint(buf, at, end)
        elif number == 6 and wire == I32:
            flags, at = fixed32(buf, at, end)
        else:
            at = skip(buf, at, end, wire)
        if at < 0:
            return MALFORMED
    links[LINK_TRACE, index] = id_word(buf, trace, trace_stop, 16, 0)
    links[LINK_TRACE + 1, index] = id_word(buf, trace, trace_stop, 16, 1)
    links[LINK_SPAN, index] = id_word(buf, span, span_stop, 8, 0)
    links[LINK_DROPPED, index], links[LINK_FLAGS, index] = dropped, flags
    links[LINK_STATE, index], links[LINK_STATE + 1, index] = state, state_stop
    return keep_object(buf, begin, end, LINK_ATTRIBUTES, t, HARD_LINK, index, links, LINK_JSON)


@inner
def _status(buf, at, end, rows, row):
    """Merge a Status into the row; returns a code."""
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return MALFORMED
        if number == 2 and wire == LEN:
            start, at = length(buf, at, end)
            rows[MESSAGE, row], rows[MESSAGE + 1, row] = start, at
        elif number == 3 and wire == VARINT:
            code, at = varint(buf, at, end)
            rows[STATUS, row] = small_enum(code, 2)
        else:
            at = skip(buf, at, end, wire)
        if at < 0:
            return MALFORMED
    return OK


@inner
def _ids(buf, rows, trace, row, trace_at, trace_stop, span_at, span_stop, parent_at, parent_stop):
    """Fill in the ids; returns the reason to refuse the span, or 0."""
    first, second = id_word(buf, trace_at, trace_stop, 16, 0), id_word(buf, trace_at, trace_stop, 16, 1)
    trace[2 * row], trace[2 * row + 1] = first, second
    rows[SPAN_ID, row] = id_word(buf, span_at, span_stop, 8, 0)
    rows[PARENT, row] = id_word(buf, parent_at, parent_stop, 8, 0)
    if first == 0 and second == 0:
        return R_TRACE_ID
    if rows[SPAN_ID, row] == 0:
        return R_SPAN_ID
    return R_PARENT_ID if parent_stop - parent_at != 8 and parent_stop != parent_at else 0


@inlined
def _blank(rows, row, at):
    for field in range(KIND, STATE):
        rows[field, row] = 0
    for field in range(STATE, SCOPE):
        rows[field, row] = at


@inner
def _span(buf, at, end, rows, trace, events, links, k, t, counts, item):
    """One span into the next row; returns (code, reason to refuse it or 0)."""
    row = counts[N_ROWS]
    _blank(rows, row, at)
    start_ns = end_ns = late = np.int64(0)
    trace_at = trace_stop = span_at = span_stop = parent_at = parent_stop = at
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return MALFORMED, 0
        if wire == LEN:
            start, at = length(buf, at, end)
            if at < 0:
                return MALFORMED, 0
            code = OK
            if number == 9:
                code = add_attribute(buf, start, at, k, t, item, row, HARD_ATTRIBUTE)
            elif number == 1:
                trace_at, trace_stop = start, at
            elif number == 2:
                span_at, span_stop = start, at
            elif number == 4:
                parent_at, parent_stop = start, at
            elif number == 5:
                rows[NAME, row], rows[NAME + 1, row] = start, at
            elif number == 3:
                rows[STATE, row], rows[STATE + 1, row] = start, at
            elif number == 11:
                code = _event(buf, start, at, counts[N_EVENTS], events, t)
                if code == OK:
                    late |= events[EVENT_TIME, counts[N_EVENTS]]
                    counts[N_EVENTS] += 1
            elif number == 13:
                code = _link(buf, start, at, counts[N_LINKS], links, t)
                counts[N_LINKS] += code == OK
            elif number == 15:
                code = _status(buf, start, at, rows, row)
            if code != OK:
                return code, 0
        elif wire == I64:
            value, at = fixed64(buf, at, end)
            start_ns = value if number == 7 else start_ns
            end_ns = value if number == 8 else end_ns
        elif wire == VARINT:
            value, at = varint(buf, at, end)
            if number == 6:
                rows[KIND, row] = small_enum(value, 5)
            elif number == 10 or number == 12 or number == 14:
                rows[DROPPED_ATTRIBUTES + (number - 10) // 2, row] = value
        else:
            value, at = fixed32(buf, at, end)
            if number == 16:
                rows[FLAGS, row] = value
        if at < 0:
            return MALFORMED, 0
    rows[START, row], rows[END, row] = start_ns, end_ns
    reason = _ids(buf, rows, trace, row, trace_at, trace_stop, span_at, span_stop, parent_at, parent_stop)
    return OK, (R_TIME if reason == 0 and (late | start_ns | end_ns) < 0 else reason)


@kernel
def walk_spans(buf, items, rows, trace, events, links, k, t, counts):
    """Every item of the outline to a row, or to a reason; returns a code."""
    for item in range(items.shape[1]):
        entries, seen, linked = k[N_ENTRIES], counts[N_EVENTS], counts[N_LINKS]
        json, hard = t[JSON_AT], t[N_HARD]
        code, reason = _span(buf, items[AT, item], items[STOP, item], rows, trace, events, links, k, t, counts, item)
        if code != OK:
            return code
        if reason:
            counts[REASONS + reason] += 1
            k[N_ENTRIES], counts[N_EVENTS], counts[N_LINKS] = entries, seen, linked
            t[JSON_AT] = json
            disown_hard(t, hard)
            continue
        row = counts[N_ROWS]
        rows[SCOPE, row] = items[SCOPED, item]
        rows[EVENTS_END, row], rows[LINKS_END, row] = counts[N_EVENTS], counts[N_LINKS]
        counts[N_ROWS] = row + 1
    return OK
