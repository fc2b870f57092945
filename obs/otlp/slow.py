"""Traces and logs the plain way: `opentelemetry-proto` parses, Python walks. Needs no kernel.

Serves while kernels compile, whenever a kernel meets something rare, and as the reference in property tests.
In: a protobuf body. Out: Decoded. Raises: UserError for a malformed body.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from obs.model.batch import Batch, Decoded, Signal
from obs.model.schema import LOGS, SPANS
from obs.otlp import reasons
from obs.otlp.census import check_body
from obs.otlp.columns import Rows
from obs.otlp.limits import MAX_TIME_NS
from obs.otlp.messages import LogsData, Message, TracesData, parse, text
from obs.otlp.values import cells, json_object, json_text

BODY_NONE, BODY_TEXT, BODY_JSON = range(3)


def decode_traces(body: bytes) -> Decoded:
    """Spans of an ExportTraceServiceRequest."""
    check_body(Signal.TRACES, body)
    request = parse(TracesData, body, "a traces request")
    rows, rejected = Rows(SPANS), Counter[str]()
    for group in request.resource_spans:
        resource = cells(group.resource.attributes)
        for scoped in group.scope_spans:
            scope = cells(scoped.scope.attributes)
            head = text(scoped.scope.name) or None, text(scoped.scope.version) or None
            for span in scoped.spans:
                fault = span_fault(span)
                if fault:
                    rejected[fault] += 1
                    continue
                own = cells(span.attributes)
                rows.add(_span_row(span, *head), ("resource", resource), ("scope", scope), ("attr", own))
    return _decoded(Signal.TRACES, rows, rejected)


def decode_logs(body: bytes, now_ns: int | None = None) -> Decoded:
    """Records of an ExportLogsServiceRequest; `now_ns` stands in for times that the sender left out."""
    check_body(Signal.LOGS, body)
    request = parse(LogsData, body, "a logs request")
    now = time.time_ns() if now_ns is None else now_ns
    rows, rejected = Rows(LOGS), Counter[str]()
    for group in request.resource_logs:
        resource = cells(group.resource.attributes)
        for scoped in group.scope_logs:
            scope = cells(scoped.scope.attributes)
            head = text(scoped.scope.name) or None, text(scoped.scope.version) or None
            for record in scoped.log_records:
                if max(record.time_unix_nano, record.observed_time_unix_nano) > MAX_TIME_NS:
                    rejected[reasons.TIME] += 1
                    continue
                own = cells(record.attributes)
                rows.add(_log_row(record, *head, now), ("resource", resource), ("scope", scope), ("attr", own))
    return _decoded(Signal.LOGS, rows, rejected)


def _decoded(signal: Signal, rows: Rows, rejected: Counter[str]) -> Decoded:
    batch = rows.batch()
    tables = {signal.item_table: batch} if batch.num_rows else {}
    return Decoded(Batch(signal, tables), dict(rejected))


def valid_id(raw: bytes, size: int) -> bytes | None:
    """An id, or None where it has the wrong length or is all zero."""
    return raw if len(raw) == size and any(raw) else None


def span_fault(span: Message) -> str | None:
    """Why a span cannot be stored."""
    if valid_id(span.trace_id, 16) is None:
        return reasons.TRACE_ID
    if valid_id(span.span_id, 8) is None:
        return reasons.SPAN_ID
    if len(span.parent_span_id) not in (0, 8):
        return reasons.PARENT_ID
    times = (span.start_time_unix_nano, span.end_time_unix_nano, *(e.time_unix_nano for e in span.events))
    return reasons.TIME if max(times) > MAX_TIME_NS else None


def _span_row(span: Message, scope_name: str | None, scope_version: str | None) -> tuple[Any, ...]:
    return (
        span.trace_id,
        span.span_id,
        valid_id(span.parent_span_id, 8),
        text(span.trace_state) or None,
        span.flags,
        text(span.name),
        span.kind if 0 <= span.kind <= 5 else 0,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code if 0 <= span.status.code <= 2 else 0,
        text(span.status.message) or None,
        scope_name,
        scope_version,
        [_event(e) for e in span.events],
        [_link(link) for link in span.links],
        span.dropped_attributes_count,
        span.dropped_events_count,
        span.dropped_links_count,
    )


def _event(event: Message) -> dict[str, Any]:
    return {
        "time_ns": event.time_unix_nano,
        "name": text(event.name),
        "attributes": json_object(event.attributes),
        "dropped": event.dropped_attributes_count,
    }


def _link(link: Message) -> dict[str, Any]:
    return {
        "trace_id": valid_id(link.trace_id, 16),
        "span_id": valid_id(link.span_id, 8),
        "trace_state": text(link.trace_state) or None,
        "attributes": json_object(link.attributes),
        "dropped": link.dropped_attributes_count,
        "flags": link.flags,
    }


def _log_row(record: Message, scope_name: str | None, scope_version: str | None, now: int) -> tuple[Any, ...]:
    body, body_type = _log_body(record.body)
    return (
        record.time_unix_nano or record.observed_time_unix_nano or now,
        record.observed_time_unix_nano or now,
        record.severity_number if 0 <= record.severity_number <= 24 else 0,
        text(record.severity_text) or None,
        body,
        body_type,
        valid_id(record.trace_id, 16),
        valid_id(record.span_id, 8),
        record.flags,
        text(record.event_name) or None,
        scope_name,
        scope_version,
        record.dropped_attributes_count,
    )


def _log_body(body: Message) -> tuple[str | None, int]:
    kind = body.WhichOneof("value")
    if kind is None:
        return None, BODY_NONE
    if kind == "string_value":
        return text(body.string_value), BODY_TEXT
    return json_text(body), BODY_JSON
