"""Spans as OTLP/JSON: ids in hex, enums and small counts as numbers, 64-bit numbers as text. Made in pieces.

Source: opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"; what Jaeger's API v3 answers with.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

import orjson

from obs.tracestore import limits
from obs.tracestore.reading import Trace
from obs.tracestore.spanview import Attributes, SpanView, adjusted, event_attributes, parse_json, span_views

Json = dict[str, Any]


def resource_spans_pieces(traces: Iterable[Trace], raw: bool) -> Iterator[bytes]:
    """The elements of `resourceSpans`, without the brackets; a resource of many spans comes several times.

    Unless `raw`, spans whose clock disagrees with their parent's are shifted.
    """
    begun = False
    for trace in traces:
        table = trace.table
        for first in range(0, table.num_rows, limits.SPANS_PER_PIECE):
            views = span_views(table.slice(first, limits.SPANS_PER_PIECE))
            found = resource_spans(views if raw else [adjusted(view) for view in views])
            yield (b"," if begun else b"") + orjson.dumps(found)[1:-1]
            begun = True


def resource_spans(spans: Sequence[SpanView]) -> list[Json]:
    """Spans by resource, then by scope."""
    resources: dict[Attributes, dict[tuple[str, str, Attributes], list[SpanView]]] = {}
    for span in spans:
        scope = (span.scope_name, span.scope_version, span.scope)
        resources.setdefault(span.resource, {}).setdefault(scope, []).append(span)
    return [
        {"resource": _some(attributes=_pairs(resource)), "scopeSpans": [_scope(*item) for item in scopes.items()]}
        for resource, scopes in resources.items()
    ]


def _some(**fields: Any) -> Json:
    """Fields that are not empty: proto3's JSON leaves the others out."""
    return {name: value for name, value in fields.items() if value}


def _scope(scope: tuple[str, str, Attributes], spans: Sequence[SpanView]) -> Json:
    name, version, attributes = scope
    return {
        "scope": _some(name=name, version=version, attributes=_pairs(attributes)),
        "spans": [_span(span) for span in spans],
    }


def _span(span: SpanView) -> Json:
    """Links without both ids are left out: readers refuse a whole trace for them."""
    return _some(
        traceId=span.trace_id, spanId=span.span_id, traceState=span.trace_state, parentSpanId=span.parent_id,
        flags=span.flags, name=span.name, kind=span.kind, startTimeUnixNano=_time(span.start_ns),
        endTimeUnixNano=_time(span.end_ns), attributes=_pairs(span.attributes),
        droppedAttributesCount=span.dropped_attributes, events=[_event(e) for e in span.events],
        droppedEventsCount=span.dropped_events, links=[_link(e) for e in span.links if e["trace_id"] and e["span_id"]],
        droppedLinksCount=span.dropped_links,
    ) | {"status": _some(code=span.status, message=span.status_message)}  # fmt: skip


def _time(ns: int) -> str:
    """OTLP has no time before 1970."""
    return str(max(ns, 0))


def _event(event: Mapping[str, Any]) -> Json:
    return _some(
        timeUnixNano=_time(event["time_ns"] or 0), name=event["name"], attributes=_loose_pairs(event),
        droppedAttributesCount=event["dropped"],
    )  # fmt: skip


def _link(link: Mapping[str, Any]) -> Json:
    return _some(
        traceId=(link["trace_id"] or b"").hex(), spanId=(link["span_id"] or b"").hex(), traceState=link["trace_state"],
        attributes=_loose_pairs(link), droppedAttributesCount=link["dropped"], flags=link["flags"],
    )  # fmt: skip


def _pairs(attributes: Attributes) -> list[Json]:
    return [{"key": k, "value": any_value(parse_json(v) if t == "json" else v)} for k, t, v in attributes]


def _loose_pairs(item: Mapping[str, Any]) -> list[Json]:
    return [{"key": k, "value": any_value(v)} for k, v in event_attributes(item).items()]


def any_value(value: Any) -> Json:
    """A Python value as an AnyValue."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)} if -(2**63) <= value < 2**63 else {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if isfinite(value) else _word(value)}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode()}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(v) for v in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": k, "value": any_value(v)} for k, v in value.items()]}}
    return {}


def _word(value: float) -> str:
    """What proto3's JSON writes for a number that JSON has none for."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
