"""Answers in Tempo's shapes: a trace as OTLP in its envelopes, a search's hit with the spans that matched, tags."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from obs.tracestore import limits
from obs.tracestore.expressions import SCOPES, Attribute, Field, Intrinsic
from obs.tracestore.otlp_shape import resource_spans_json, traces_data
from obs.tracestore.query import ReadStats, TraceSummary
from obs.tracestore.reading import Trace
from obs.tracestore.spanview import SpanView, span_views
from obs.tracestore.traceql.answer import ShownSpan, Spanset

Json = dict[str, Any]
INTRINSIC_TAGS = (
    "duration", "event:name", "event:timeSinceStart", "instrumentation:name", "instrumentation:version", "kind",
    "link:spanID", "link:traceID", "name", "rootName", "rootServiceName", "span:childCount", "span:duration", "span:id",
    "span:kind", "span:name", "span:parentID", "span:status", "span:statusMessage", "status", "statusMessage",
    "trace:duration", "trace:id", "trace:rootName", "trace:rootService", "traceDuration",
)  # fmt: skip


def trace_protobuf(trace: Trace) -> Iterator[bytes]:
    """`tempopb.Trace`, which on the wire is TracesData, in pieces: what is repeated adds up."""
    for views in _pages(trace):
        yield traces_data(views).SerializeToString()


def trace_v2_protobuf(trace: Trace) -> Iterator[bytes]:
    """`tempopb.TraceByIDResponse`: field 1 is the trace, which comes in pieces; 3 and 4 say whether it is partial."""
    for body in trace_protobuf(trace):
        yield b"\x0a" + _varint(len(body)) + body
    if trace.partial:
        said = trace.partial.encode()
        yield b"\x18\x01\x22" + _varint(len(said)) + said


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def trace_v1(trace: Trace) -> Iterator[bytes]:
    """Version 1 calls the resource spans `batches`."""
    yield b'{"batches":['
    yield from _resource_spans(trace)
    yield b"]}"


def trace_v2(trace: Trace) -> Iterator[bytes]:
    """Version 2 has an envelope, and says whether the trace is partial."""
    yield b'{"trace":{"resourceSpans":['
    yield from _resource_spans(trace)
    more: Json = {"metrics": {}} | partial([trace.partial] if trace.partial else [])
    yield b"]}," + orjson.dumps(more)[1:]


def partial(reasons: Sequence[str]) -> Json:
    """What is added to an answer that is not whole, and why. Source: Tempo, tempopb, PartialStatus."""
    return {"status": "PARTIAL", "message": "; ".join(reasons)} if reasons else {}


def _resource_spans(trace: Trace) -> Iterator[bytes]:
    for i, views in enumerate(_pages(trace)):
        yield (b"," if i else b"") + orjson.dumps(resource_spans_json(traces_data(views)))[1:-1]


def _pages(trace: Trace) -> Iterator[list[SpanView]]:
    table = trace.table
    for first in range(0, table.num_rows, limits.SPANS_PER_PIECE):
        yield span_views(table.slice(first, limits.SPANS_PER_PIECE))


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


_TAG_SCOPES = {**SCOPES, "event": "event", "link": "link"}


def tag_names(names: Mapping[str, Sequence[str]], scope: str | None) -> Json:
    """Keys of all scopes, or of one."""
    chosen = {_TAG_SCOPES[scope]} if scope in _TAG_SCOPES else set(names)
    return {"tagNames": sorted({k for s, keys in names.items() if s in chosen for k in keys}), "metrics": {}}


def tag_names_v2(names: Mapping[str, Sequence[str]], scope: str | None) -> Json:
    """Keys by scope, and the intrinsic fields as a scope of their own."""
    scopes = [{"name": name, "tags": list(names.get(column, ()))} for name, column in _TAG_SCOPES.items()]
    scopes.append({"name": "intrinsic", "tags": list(INTRINSIC_TAGS)})
    return {"scopes": [s for s in scopes if scope in (None, "none", s["name"])], "metrics": {}}
