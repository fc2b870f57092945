"""Spans in Zipkin's v2 JSON. Source: zipkin-api, zipkin2-api.yaml; OpenTelemetry, "OpenTelemetry to Zipkin"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from obs.tracestore import limits
from obs.tracestore.jaeger_shape import short_id
from obs.tracestore.reading import Trace
from obs.tracestore.spanview import SpanView, as_json_value, event_attributes, span_views
from obs.tracestore.tags import as_shown

Json = dict[str, Any]
_NO_START = "otel.zipkin.absentField.startTime"
_KINDS = {2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}


def traces_pieces(traces: Iterable[Trace]) -> Iterator[bytes]:
    """A list of traces, in pieces."""
    yield b"["
    for i, trace in enumerate(traces):
        yield b"," if i else b""
        yield from trace_pieces(trace)
    yield b"]"


def trace_pieces(trace: Trace) -> Iterator[bytes]:
    """One trace as a list of spans, some thousands at a time."""
    table = trace.table
    yield b"["
    for first in range(0, table.num_rows, limits.SPANS_PER_PIECE):
        written = [span_json(view) for view in span_views(table.slice(first, limits.SPANS_PER_PIECE))]
        yield (b"," if first else b"") + orjson.dumps(written)[1:-1]
    yield b"]"


def span_json(span: SpanView) -> Json:
    """One span; times are microseconds."""
    tags = _tags(span)
    found: Json = {"traceId": short_id(span.trace_id), "id": span.span_id, "name": span.name.lower(),
                   "timestamp": max(span.start_ns // 1000, 1), "duration": max(span.duration_ns // 1000, 1),
                   "localEndpoint": _endpoint(span.service.lower(), tags, "net.host")}  # fmt: skip
    if tags.pop(_NO_START, ""):
        del found["timestamp"]
    if remote := _endpoint(tags.pop("peer.service", "").lower(), tags, "net.peer"):
        found["remoteEndpoint"] = remote
    found |= {key: True for key in ("shared", "debug") if tags.pop(f"zipkin.{key}", "")}
    found["tags"] = tags
    if span.parent_id:
        found["parentId"] = span.parent_id
    if span.kind in _KINDS:
        found["kind"] = _KINDS[span.kind]
    if span.events:
        found["annotations"] = [
            {"timestamp": (e["time_ns"] or 0) // 1000, "value": _annotation(e)} for e in span.events
        ]
    return found


def _endpoint(service: str, tags: dict[str, str], prefix: str) -> Json:
    """An endpoint, as far as the tags know it; they go into it."""
    found: Json = {"serviceName": service} if service else {}
    if ip := tags.pop(f"{prefix}.ip", ""):
        found["ipv6" if ":" in ip else "ipv4"] = ip
    if tags.get(f"{prefix}.port", "").isdecimal():
        found["port"] = int(tags.pop(f"{prefix}.port"))
    return found


def _annotation(event: Any) -> str:
    attributes = event_attributes(event)
    return f"{event['name'] or ''}: {orjson.dumps(attributes).decode()}" if attributes else event["name"] or ""


def _tags(span: SpanView) -> dict[str, str]:
    found = {k: _text(t, v) for k, t, v in (*span.resource, *span.scope, *span.attributes) if k != "service.name"}
    if span.status == 2:
        found.setdefault("error", span.status_message or "true")
    if span.status:
        found["otel.status_code"] = "ERROR" if span.status == 2 else "OK"
    if span.scope_name:
        found["otel.scope.name"] = span.scope_name
    return found


def _text(type_: str, value: Any) -> str:
    return str(value) if type_ == "json" else as_shown(as_json_value(type_, value))
