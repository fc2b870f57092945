"""A trace as OTLP: the protobuf message, and the JSON that Tempo makes of it (ids as base64).

Source: opentelemetry-proto, trace/v1/trace.proto; Tempo, pkg/tempopb.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

from obs.tracestore.spanview import Attributes, SpanView, event_attributes, parse_json


def traces_data(spans: Sequence[SpanView]) -> Any:
    """TracesData of a trace: spans by resource, then by scope."""
    resources: dict[Attributes, dict[tuple[Any, ...], list[SpanView]]] = {}
    for span in spans:
        scope = (span.scope_name, span.scope_version, span.scope)
        resources.setdefault(span.resource, {}).setdefault(scope, []).append(span)
    return TracesData(
        resource_spans=[
            ResourceSpans(resource=Resource(attributes=_pairs(resource)), scope_spans=map(_scope, scopes.items()))
            for resource, scopes in resources.items()
        ]
    )


def _scope(item: tuple[tuple[Any, ...], list[SpanView]]) -> Any:
    (name, version, attributes), spans = item
    scope = InstrumentationScope(name=name, version=version, attributes=_pairs(attributes))
    return ScopeSpans(scope=scope, spans=map(_span, spans))


def _span(span: SpanView) -> Any:
    return Span(
        trace_id=bytes.fromhex(span.trace_id), span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id), trace_state=span.trace_state, flags=span.flags,
        name=span.name, kind=cast(Any, span.kind), start_time_unix_nano=max(span.start_ns, 0),
        end_time_unix_nano=max(span.end_ns, 0), attributes=_pairs(span.attributes),
        dropped_attributes_count=span.dropped_attributes, dropped_events_count=span.dropped_events,
        dropped_links_count=span.dropped_links,
        status=_status(span),
        events=[
            Span.Event(
                time_unix_nano=max(e["time_ns"] or 0, 0), name=e["name"] or "", attributes=_json_pairs(e),
                dropped_attributes_count=e["dropped"] or 0,
            )
            for e in span.events
        ],
        links=[
            Span.Link(
                trace_id=e["trace_id"] or b"", span_id=e["span_id"] or b"", trace_state=e["trace_state"] or "",
                attributes=_json_pairs(e), dropped_attributes_count=e["dropped"] or 0, flags=e["flags"] or 0,
            )
            for e in span.links
        ],
    )  # fmt: skip


def _status(span: SpanView) -> Any:
    if not span.status and not span.status_message:
        return None
    return Status(code=cast(Any, span.status), message=span.status_message)


def _pairs(attributes: Attributes) -> list[Any]:
    return [KeyValue(key=k, value=any_value(parse_json(v) if t == "json" else v)) for k, t, v in attributes]


def _json_pairs(item: Any) -> Iterable[Any]:
    return [KeyValue(key=k, value=any_value(v)) for k, v in event_attributes(item).items()]


def any_value(value: Any) -> Any:
    """A Python value as an AnyValue."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value) if -(2**63) <= value < 2**63 else AnyValue(string_value=str(value))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    found = AnyValue()
    if isinstance(value, list):
        found.array_value.SetInParent()
        found.array_value.values.extend(map(any_value, value))
    elif isinstance(value, dict):
        found.kvlist_value.SetInParent()
        found.kvlist_value.values.extend(KeyValue(key=k, value=any_value(v)) for k, v in value.items())
    return found


def resource_spans_json(data: Any) -> list[dict[str, Any]]:
    """The resource spans of TracesData as JSON can hold them."""
    found: list[dict[str, Any]] = MessageToDict(data).get("resourceSpans", [])
    return found
