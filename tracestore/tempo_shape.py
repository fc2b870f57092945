"""Answers in Tempo's shapes: a trace as OTLP in its envelopes, a search's hit with the spans that matched, tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from obs.tracestore.evaluate import SpanRows
from obs.tracestore.expressions import SCOPES
from obs.tracestore.matching import Condition, matching_rows
from obs.tracestore.otlp_shape import resource_spans_json, traces_data
from obs.tracestore.query import ReadStats, TraceSummary
from obs.tracestore.reading import Trace
from obs.tracestore.spanview import SpanView, span_views

Json = dict[str, Any]
INTRINSIC_TAGS = ("duration", "kind", "name", "rootName", "rootServiceName", "status", "statusMessage", "traceDuration")


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


def search_hit(summary: TraceSummary, trace: Trace | None, condition: Condition, shown: int) -> Json:
    """One trace of a search with its first matching spans."""
    found: Json = {
        "traceID": summary.trace_id.hex(), "rootServiceName": summary.root_service,
        "rootTraceName": summary.root_name, "startTimeUnixNano": str(summary.start_ns),
        "durationMs": summary.duration_ns // 10**6,
    }  # fmt: skip
    if trace is not None:
        source = trace.source
        hits = matching_rows(SpanRows(source, np.arange(1)), condition)
        spans = span_views(trace.table.take(pa.array(hits[:shown])))
        span_set = {"spans": [_span(s) for s in spans], "matched": len(hits)}
        found |= {"spanSet": span_set, "spanSets": [span_set]}
    return found


def _span(span: SpanView) -> Json:
    return {
        "spanID": span.span_id, "name": span.name, "startTimeUnixNano": str(span.start_ns),
        "durationNanos": str(span.duration_ns),
        "attributes": [{"key": "service.name", "value": {"stringValue": span.service}}],
    }  # fmt: skip


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
