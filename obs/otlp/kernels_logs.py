"""Log records: each item of the outline to a row. Source: opentelemetry/proto/logs/v1/logs.proto.

Rows are int64[field, index]; texts are a pair of fields, start and stop. Trace ids lie apart.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np

from obs.otlp.kernels_attributes import N_ENTRIES, add_attribute
from obs.otlp.kernels_json import JSON_AT, N_HARD, disown_hard, find_value, json_code, keep_text, write_value
from obs.otlp.kernels_outline import AT, SCOPED, STOP
from obs.otlp.kernels_spans import HARD_ATTRIBUTE, HARD_BODY, N_ROWS, R_TIME, REASONS
from obs.otlp.kernels_wire import (
    I64,
    LEN,
    MALFORMED,
    OK,
    RARE,
    VARINT,
    fixed32,
    fixed64,
    id_word,
    inner,
    kernel,
    length,
    small_enum,
    tag,
    varint,
)

BODY_NONE, BODY_TEXT, BODY_JSON = range(3)
L_SPAN_ID, TIME, OBSERVED, SEVERITY, BODY_TYPE, L_FLAGS, L_DROPPED = range(7)
BODY, SEVERITY_TEXT, L_EVENT_NAME, L_SCOPE, LOG_FIELDS = np.array([7, 9, 11, 13, 14])


@inner
def _body(buf, at, stop, rows, row, t):
    """The body of a record: where its text lies in the request, or its JSON behind that; returns a code."""
    field, first, second = find_value(buf, at, stop)
    if field < 0:
        return json_code(field)
    if field == 0:
        return OK
    if field == 1:
        rows[BODY_TYPE, row], rows[BODY, row], rows[BODY + 1, row] = BODY_TEXT, first, second
        return OK
    rows[BODY_TYPE, row] = BODY_JSON
    start = t[JSON_AT]
    end = write_value(buf, at, stop, start, t, np.int64(0))
    return keep_text(t, start, end, HARD_BODY, row, at, stop, rows, BODY)


@inner
def _record(buf, at, end, rows, trace, k, t, row, item, now_ns):
    """One record into `row`; returns (code, reason to refuse it or 0)."""
    for field in range(SEVERITY, BODY):
        rows[field, row] = 0
    for field in range(BODY, L_SCOPE):
        rows[field, row] = at
    time = observed = np.int64(0)
    trace_at = trace_stop = span_at = span_stop = at
    bodies = 0
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return MALFORMED, 0
        if wire == LEN:
            start, at = length(buf, at, end)
            if at < 0:
                return MALFORMED, 0
            code = OK
            if number == 6:
                code = add_attribute(buf, start, at, k, t, item, row, HARD_ATTRIBUTE)
            elif number == 5:
                bodies += 1
                code = _body(buf, start, at, rows, row, t)
            elif number == 9:
                trace_at, trace_stop = start, at
            elif number == 10:
                span_at, span_stop = start, at
            elif number == 3:
                rows[SEVERITY_TEXT, row], rows[SEVERITY_TEXT + 1, row] = start, at
            elif number == 12:
                rows[L_EVENT_NAME, row], rows[L_EVENT_NAME + 1, row] = start, at
            if code != OK:
                return code, 0
        elif wire == I64:
            value, at = fixed64(buf, at, end)
            time = value if number == 1 else time
            observed = value if number == 11 else observed
        elif wire == VARINT:
            value, at = varint(buf, at, end)
            if number == 2:
                rows[SEVERITY, row] = small_enum(value, 24)
            elif number == 7:
                rows[L_DROPPED, row] = value
        else:
            value, at = fixed32(buf, at, end)
            if number == 8:
                rows[L_FLAGS, row] = value
        if at < 0:
            return MALFORMED, 0
    trace[2 * row] = id_word(buf, trace_at, trace_stop, 16, 0)
    trace[2 * row + 1] = id_word(buf, trace_at, trace_stop, 16, 1)
    rows[L_SPAN_ID, row] = id_word(buf, span_at, span_stop, 8, 0)
    rows[OBSERVED, row] = observed if observed else now_ns
    rows[TIME, row] = time if time else rows[OBSERVED, row]
    return (OK if bodies <= 1 else RARE), (R_TIME if (time | observed) < 0 else 0)


@kernel
def walk_logs(buf, items, rows, trace, k, t, counts, now_ns):
    """Every item of the outline to a row, or to a reason; returns a code."""
    for item in range(items.shape[1]):
        row = counts[N_ROWS]
        entries, json, hard = k[N_ENTRIES], t[JSON_AT], t[N_HARD]
        code, reason = _record(buf, items[AT, item], items[STOP, item], rows, trace, k, t, row, item, now_ns)
        if code != OK:
            return code
        if reason:
            counts[REASONS + reason] += 1
            k[N_ENTRIES], t[JSON_AT] = entries, json
            disown_hard(t, hard)
            continue
        rows[L_SCOPE, row] = items[SCOPED, item]
        counts[N_ROWS] = row + 1
    return OK
