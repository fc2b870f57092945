"""A trace in messages for Jaeger's gRPC clients: OTLP's for v3, Jaeger's own for v2; each below what clients take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from obs.tracestore import limits
from obs.tracestore.jaeger_messages import V2
from obs.tracestore.jaeger_shape import log_fields, process_tags, shifted, span_tags
from obs.tracestore.oddities import oddities, summary
from obs.tracestore.otlp_shape import traces_data
from obs.tracestore.reading import Trace
from obs.tracestore.spanview import Attributes, SpanView, adjusted, span_views

S = 10**9
_FIELDS = {"str": (0, "v_str"), "bool": (1, "v_bool"), "int": (2, "v_int64"), "float": (3, "v_float64"),
           "bytes": (4, "v_binary"), "json": (0, "v_str")}  # fmt: skip


def spans_v3(trace: Trace, raw: bool) -> Iterator[bytes]:
    """TracesData; unless `raw`, spans whose clock disagrees with their parent's are shifted."""
    for _, views in _pages(trace):
        yield from _fitting(views if raw else [adjusted(view) for view in views], traces_data)


def spans_v2(trace: Trace, raw: bool) -> Iterator[bytes]:
    """SpansResponseChunk: each span with its process, and warnings where it is odd."""
    odd, trace_id = oddities(trace), trace.trace_id
    of_trace = [*summary(trace)]
    for first, views in _pages(trace):
        processes = {view.resource: _process(view.resource) for view in views}
        spans = []
        for row, view in enumerate(views, first):
            said = odd.said(row, view.parent_id) or []
            if not raw:
                view, said = shifted(view, said)
            spans.append(_span(view, trace_id, processes[view.resource], said if row else [*of_trace, *said]))
        yield from _fitting(spans, lambda some: V2["Spans"](spans=some))


def _pages(trace: Trace) -> Iterator[tuple[int, list[SpanView]]]:
    table = trace.table
    for first in range(0, table.num_rows, limits.SPANS_PER_PIECE):
        yield first, span_views(table.slice(first, limits.SPANS_PER_PIECE))


def _fitting(spans: Sequence[Any], message: Callable[[Sequence[Any]], Any]) -> Iterator[bytes]:
    """Messages of as many spans as fit one; a span that is larger alone comes alone."""
    body: bytes = message(spans).SerializeToString()
    if len(body) <= limits.GRPC_MESSAGE_BYTES or len(spans) == 1:
        yield body
        return
    middle = len(spans) // 2
    yield from _fitting(spans[:middle], message)
    yield from _fitting(spans[middle:], message)


def _span(span: SpanView, trace_id: bytes, process: Any, warnings: Sequence[str]) -> Any:
    return V2["Span"](
        trace_id=trace_id, span_id=bytes.fromhex(span.span_id), operation_name=span.name,
        references=_references(span, trace_id), flags=span.flags & 0xFF, start_time=_moment(span.start_ns),
        duration=_moment(span.duration_ns), tags=[_tag(*tag) for tag in span_tags(span)],
        logs=[_log(event) for event in span.events], process=process, warnings=warnings,
    )  # fmt: skip


def _moment(ns: int) -> Any:
    return V2["Moment"](seconds=ns // S, nanos=ns % S)


def _references(span: SpanView, trace_id: bytes) -> list[Any]:
    found = []
    if span.parent_id:
        found.append(V2["SpanRef"](trace_id=trace_id, span_id=bytes.fromhex(span.parent_id)))
    for link in span.links:
        if link["trace_id"]:
            found.append(V2["SpanRef"](trace_id=link["trace_id"], span_id=link["span_id"] or bytes(8), ref_type=1))
    return found


def _tag(key: str, type_: str, value: Any) -> Any:
    number, field = _FIELDS[type_]
    return V2["KeyValue"](**{"key": key, "v_type": number, field: value})


def _log(event: Mapping[str, Any]) -> Any:
    return V2["Log"](timestamp=_moment(event["time_ns"] or 0), fields=[_tag(*f) for f in log_fields(event)])


def _process(resource: Attributes) -> Any:
    service, tags = process_tags(resource)
    return V2["Process"](service_name=service, tags=[_tag(*tag) for tag in tags])
