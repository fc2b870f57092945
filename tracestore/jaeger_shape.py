"""A trace in Jaeger's JSON. Source: Jaeger, model/json; OpenTelemetry, "OpenTelemetry to Jaeger Transformation"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from obs.tracestore.names import KINDS
from obs.tracestore.spanview import Attributes, SpanView, as_json_value, event_attributes

Json = dict[str, Any]
_TYPES = {"str": "string", "int": "int64", "float": "float64", "bool": "bool", "bytes": "binary", "json": "string"}


def trace_json(spans: Sequence[SpanView]) -> Json:
    """One element of `data`."""
    processes: dict[Attributes, str] = {}
    written = [_span(s, processes.setdefault(s.resource, f"p{len(processes) + 1}")) for s in spans]
    services = {s.resource: s.service for s in spans}
    return {
        "traceID": short_id(spans[0].trace_id),
        "spans": written,
        "processes": {p: _process(services[resource], resource) for resource, p in processes.items()},
        "warnings": None,
    }


def short_id(trace_id: str) -> str:
    """Jaeger writes a 64-bit trace id with 16 digits."""
    return trace_id.removeprefix("0" * 16)


def _span(span: SpanView, process: str) -> Json:
    found: Json = {
        "traceID": short_id(span.trace_id), "spanID": span.span_id, "operationName": span.name,
        "references": _references(span), "startTime": span.start_ns // 1000,
        "duration": span.duration_ns // 1000, "tags": _tags(span), "logs": [_log(e) for e in span.events],
        "processID": process, "warnings": None,
    }  # fmt: skip
    if span.flags:
        found["flags"] = span.flags & 0xFF
    return found


def _references(span: SpanView) -> list[Json]:
    found = []
    if span.parent_id:
        found.append({"refType": "CHILD_OF", "traceID": short_id(span.trace_id), "spanID": span.parent_id})
    for link in span.links:
        trace_id, span_id = (link["trace_id"] or b"").hex(), (link["span_id"] or b"").hex()
        found.append({"refType": "FOLLOWS_FROM", "traceID": short_id(trace_id), "spanID": span_id})
    return found


def _tags(span: SpanView) -> list[Json]:
    found = [_tag(k, t, v) for k, t, v in (*span.attributes, *span.scope)]
    if 0 < span.kind < len(KINDS):
        found.append(_tag("span.kind", "str", KINDS[span.kind]))
    if span.scope_name:
        found.append(_tag("otel.scope.name", "str", span.scope_name))
    if span.scope_version:
        found.append(_tag("otel.scope.version", "str", span.scope_version))
    if span.status:
        found.append(_tag("otel.status_code", "str", "ERROR" if span.status == 2 else "OK"))
    if span.status_message:
        found.append(_tag("otel.status_description", "str", span.status_message))
    if span.status == 2 and not any(k == "error" for k, _, _ in span.attributes):
        found.append(_tag("error", "bool", True))
    if span.trace_state:
        found.append(_tag("w3c.tracestate", "str", span.trace_state))
    return found


def _tag(key: str, type_: str, value: Any) -> Json:
    shown = value if type_ == "json" else as_json_value(type_, value)
    return {"key": key, "type": _TYPES[type_], "value": shown}


def _log(event: Mapping[str, Any]) -> Json:
    fields = [_tag("event", "str", event["name"])] if event["name"] else []
    return {
        "timestamp": (event["time_ns"] or 0) // 1000,
        "fields": fields + [_tag(k, *_typed(v)) for k, v in event_attributes(event).items()],
    }


def _typed(value: Any) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, int):
        return "int", value
    if isinstance(value, float):
        return "float", value
    return "str", value if isinstance(value, str) else str(value)


def _process(service: str, resource: Attributes) -> Json:
    return {"serviceName": service, "tags": [_tag(k, t, v) for k, t, v in resource if k != "service.name"]}
