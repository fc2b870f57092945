"""A trace in Jaeger's JSON. Source: Jaeger, model/json; OpenTelemetry, "OpenTelemetry to Jaeger Transformation"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from obs.tracestore import limits
from obs.tracestore.names import KINDS, NO_SERVICE
from obs.tracestore.oddities import oddities, summary
from obs.tracestore.reading import Trace
from obs.tracestore.spanview import Attributes, SpanView, adjusted, as_json_value, event_attributes, span_views
from obs.tracestore.store import TraceStore

Json = dict[str, Any]
Tag = tuple[str, str, Any]
"""(key, type of `schema.ATTRIBUTE_TYPES`, value)"""

NOT_FOUND = "trace not found"
NO_ARCHIVE = "archive span storage was not configured"
"""What Jaeger says without one: every trace is kept as long as any other here."""

_TYPES = {"str": "string", "int": "int64", "float": "float64", "bool": "bool", "bytes": "binary", "json": "string"}
_SHIFTED = "clock skew: its times are shifted by {} ns to fit its parent's clock; raw=true tells them as sent"
MAX_SAFE = 2**53 - 1
"""Whole numbers past it are text in JSON, as Jaeger writes them: JavaScript would round them."""


def trace_pieces(trace: Trace, raw: bool = False) -> Iterator[bytes]:
    """One element of `data`, in pieces: spans some thousands at a time, then the processes they name.

    Unless `raw`, spans whose clock disagrees with their parent's are shifted, as Jaeger does, and say so.
    """
    table, odd = trace.table, oddities(trace)
    processes: dict[Attributes, str] = {}
    trace_id = short_id(trace.trace_id.hex())
    yield b'{"traceID":' + orjson.dumps(trace_id) + b',"spans":['
    for first in range(0, table.num_rows, limits.SPANS_PER_PIECE):
        views = span_views(table.slice(first, limits.SPANS_PER_PIECE))
        written = []
        for row, view in enumerate(views, first):
            process = processes.setdefault(view.resource, f"p{len(processes) + 1}")
            said = odd.said(row, view.parent_id)
            if not raw:
                view, said = shifted(view, said or [])
            written.append(_span(view, trace_id, process, said or None))
        yield (b"," if first else b"") + orjson.dumps(written)[1:-1]
    found = {name: _process(resource) for resource, name in processes.items()}
    yield b'],"processes":' + orjson.dumps(found)
    yield b',"warnings":' + orjson.dumps([*summary(trace)] or None) + b"}"


def shifted(view: SpanView, said: list[str]) -> tuple[SpanView, list[str]]:
    """The span by its parent's clock, and what is said of it, with that where it is so."""
    if not view.skew_ns:
        return view, said
    return adjusted(view), [*said, _SHIFTED.format(view.skew_ns)]


def operation_kinds(store: TraceStore, service: str, no_kind: str) -> list[tuple[str, str]]:
    """(name, span kind) of a service's operations; those of no kind are called `no_kind`."""
    found: dict[tuple[str, str], None] = {}
    for name, kinds in sorted(store.operations().get(service, {}).items()):
        found.update({(name, KINDS[k] if 0 < k < len(KINDS) else no_kind): None for k in kinds})
    return list(found)


def short_id(trace_id: str) -> str:
    """Jaeger writes a 64-bit trace id with 16 digits."""
    return trace_id.removeprefix("0" * 16)


def _span(span: SpanView, trace_id: str, process: str, warnings: list[str] | None) -> Json:
    found: Json = {
        "traceID": trace_id, "spanID": span.span_id, "operationName": span.name,
        "references": _references(span, trace_id), "startTime": span.start_ns // 1000,
        "duration": span.duration_ns // 1000, "tags": [_tag(*tag) for tag in span_tags(span)],
        "logs": [_log(e) for e in span.events],
        "processID": process, "warnings": warnings,
    }  # fmt: skip
    if span.flags:
        found["flags"] = span.flags & 0xFF
    return found


def _references(span: SpanView, own_id: str) -> list[Json]:
    found = []
    if span.parent_id:
        found.append({"refType": "CHILD_OF", "traceID": own_id, "spanID": span.parent_id})
    for link in span.links:
        if not link["trace_id"]:
            continue
        trace_id, span_id = link["trace_id"].hex(), (link["span_id"] or b"").hex()
        found.append({"refType": "FOLLOWS_FROM", "traceID": short_id(trace_id), "spanID": span_id})
    return found


def span_tags(span: SpanView) -> list[Tag]:
    """What a span carries as tags: attributes, and the fields that Jaeger has no place for."""
    found: list[Tag] = [*span.attributes, *span.scope]
    if 0 < span.kind < len(KINDS):
        found.append(("span.kind", "str", KINDS[span.kind]))
    if span.scope_name:
        found.append(("otel.scope.name", "str", span.scope_name))
    if span.scope_version:
        found.append(("otel.scope.version", "str", span.scope_version))
    if span.status:
        found.append(("otel.status_code", "str", "ERROR" if span.status == 2 else "OK"))
    if span.status_message:
        found.append(("otel.status_description", "str", span.status_message))
    if span.status == 2 and not any(k == "error" for k, _, _ in span.attributes):
        found.append(("error", "bool", True))
    if span.trace_state:
        found.append(("w3c.tracestate", "str", span.trace_state))
    return found


def _tag(key: str, type_: str, value: Any) -> Json:
    shown = value if type_ == "json" else as_json_value(type_, value)
    if type_ == "int" and abs(value) > MAX_SAFE:
        shown = str(value)
    return {"key": key, "type": _TYPES[type_], "value": shown}


def _log(event: Mapping[str, Any]) -> Json:
    return {"timestamp": (event["time_ns"] or 0) // 1000, "fields": [_tag(*field) for field in log_fields(event)]}


def log_fields(event: Mapping[str, Any]) -> list[Tag]:
    """An event's name and attributes."""
    fields: list[Tag] = [("event", "str", event["name"])] if event["name"] else []
    return fields + [(k, *_typed(v)) for k, v in event_attributes(event).items()]


def _typed(value: Any) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, int):
        return "int", value
    if isinstance(value, float):
        return "float", value
    return "str", value if isinstance(value, str) else orjson.dumps(value).decode()


def _process(resource: Attributes) -> Json:
    service, tags = process_tags(resource)
    return {"serviceName": service, "tags": [_tag(*tag) for tag in tags]}


def process_tags(resource: Attributes) -> tuple[str, list[Tag]]:
    """A resource's service, and its other attributes."""
    service = next((str(v) for k, _, v in resource if k == "service.name"), NO_SERVICE)
    return service, [tag for tag in resource if tag[0] != "service.name"]
