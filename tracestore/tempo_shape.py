"""Answers in Tempo's shapes: a trace as OTLP in its envelopes, a search's hit with the spans that matched, tags."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from obs.tracestore.expressions import SCOPES, Attribute, Field, Intrinsic
from obs.tracestore.otlp_shape import resource_spans_json, traces_data
from obs.tracestore.query import ReadStats, TraceSummary
from obs.tracestore.reading import Trace
from obs.tracestore.spanview import span_views
from obs.tracestore.traceql.answer import ShownSpan, Spanset

Json = dict[str, Any]
INTRINSIC_TAGS = (
    "duration", "event:name", "event:timeSinceStart", "instrumentation:name", "instrumentation:version", "kind",
    "link:spanID", "link:traceID", "name", "rootName", "rootServiceName", "span:childCount", "span:duration", "span:id",
    "span:kind", "span:name", "span:parentID", "span:status", "span:statusMessage", "status", "statusMessage",
    "trace:duration", "trace:id", "trace:rootName", "trace:rootService", "traceDuration",
)  # fmt: skip


def trace_protobuf(trace: Trace) -> bytes:
    """`tempopb.Trace`, which on the wire is TracesData."""
    data: bytes = traces_data(span_views(trace.table)).SerializeToString()
    return data


def trace_v2_protobuf(trace: Trace) -> bytes:
    """`tempopb.TraceByIDResponse`: field 1 is the trace."""
    body = trace_protobuf(trace)
    return b"\x0a" + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def trace_v1(trace: Trace) -> Json:
    """Version 1 calls the resource spans `batches`."""
    return {"batches": resource_spans_json(traces_data(span_views(trace.table)))}


def trace_v2(trace: Trace) -> Json:
    """Version 2 has an envelope."""
    return {"trace": {"resourceSpans": resource_spans_json(traces_data(span_views(trace.table)))}, "metrics": {}}


def search_hit(summary: TraceSummary, spansets: Sequence[Spanset], shown: int) -> Json:
    """One trace of a search with its spansets and the first spans of each."""
    found: Json = {
        "traceID": summary.trace_id.hex(), "rootServiceName": summary.root_service,
        "rootTraceName": summary.root_name, "startTimeUnixNano": str(summary.start_ns),
        "durationMs": summary.duration_ns // 10**6,
    }  # fmt: skip
    sets = [_spanset(s, shown) for s in spansets]
    return found | ({"spanSet": sets[0], "spanSets": sets} if sets else {})


def _spanset(spanset: Spanset, shown: int) -> Json:
    found: Json = {"spans": [_span(s) for s in spanset.spans[:shown]], "matched": spanset.matched}
    notes = [{"key": name, "value": any_value(value)} for name, value in spanset.notes]
    return found | ({"attributes": notes} if notes else {})


def _span(span: ShownSpan) -> Json:
    return {
        "spanID": span.span_id, "name": span.name, "startTimeUnixNano": str(span.start_ns),
        "durationNanos": str(span.duration_ns),
        "attributes": [{"key": field_name(f), "value": any_value(v)} for f, v in span.values if f not in _SHOWN_ELSE],
    }  # fmt: skip


_SHOWN_ELSE = (Intrinsic("name"), Intrinsic("duration"))


def field_name(field: Field) -> str:
    """What an answer calls a field: an attribute by its key alone."""
    return field.key if isinstance(field, Attribute) else str(field)


def any_value(value: Any) -> Json:
    """A value as OTLP writes one in JSON."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if np.isfinite(value) else str(value)}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode()}
    return {"stringValue": "nil" if value is None else str(value)}


def metrics(stats: ReadStats) -> Json:
    """What a search read, under Tempo's names."""
    return {"inspectedTraces": stats.traces_matched, "inspectedSpans": str(stats.rows_read + stats.rows_head)}


def tag_names(names: Mapping[str, Sequence[str]], scope: str | None) -> Json:
    """Keys of all scopes, or of one."""
    chosen = {SCOPES[scope]} if scope in SCOPES else set(names)
    return {"tagNames": sorted({k for s, keys in names.items() if s in chosen for k in keys}), "metrics": {}}


def tag_names_v2(names: Mapping[str, Sequence[str]], scope: str | None) -> Json:
    """Keys by scope, and the intrinsic fields as a scope of their own."""
    scopes = [{"name": name, "tags": list(names[column])} for name, column in SCOPES.items()]
    scopes.append({"name": "intrinsic", "tags": list(INTRINSIC_TAGS)})
    return {"scopes": [s for s in scopes if scope in (None, "none", s["name"])], "metrics": {}}
