"""A small shop's telemetry as OTLP requests: traces over three services, and logs that carry their ids."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

SERVICES = ("frontend", "cart", "payment")
LEVELS = {"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17}
LINES = {
    "DEBUG": "cache lookup key=session:{n} hit=true",
    "INFO": "GET /cart/{n} took {ms} ms",
    "WARN": "slow query on table orders: {ms} ms; retrying once",
    "ERROR": '{{"event":"charge failed","order":{n},"cause":"timeout calling bank","attempts":3}}',
}


def pairs(**values: Any) -> list[KeyValue]:
    """Attributes; `a__b` stands for `a.b`."""
    return [KeyValue(key=k.replace("__", "."), value=_value(v)) for k, v in values.items()]


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=str(value))


def trace_id(n: int) -> bytes:
    """The id of the n-th trace."""
    return hashlib.md5(f"trace {n}".encode()).digest()


def logs(end_ns: int, count: int = 1500, span_s: int = 3500) -> ExportLogsServiceRequest:
    """Records spread over `span_s` before `end_ns`; every third carries a trace."""
    chance = random.Random(7)
    request = ExportLogsServiceRequest()
    for service in SERVICES:
        holder = request.resource_logs.add()
        holder.resource.attributes.extend(pairs(service__name=service, host__name="shop-1", service__version="1.4.2"))
        records = holder.scope_logs.add()
        records.scope.name = f"shop.{service}"
        for n in range(count // len(SERVICES)):
            level = chance.choices(list(LEVELS), (3, 12, 2, 1))[0]
            record = records.log_records.add()
            record.time_unix_nano = end_ns - int(chance.random() * span_s * 1e9)
            record.severity_text, record.severity_number = level, LEVELS[level]
            record.body.string_value = LINES[level].format(n=n, ms=chance.randint(2, 900))
            record.attributes.extend(pairs(thread__name=f"worker-{n % 4}", http__response__status_code=200 + n % 3))
            if n % 3 == 0:
                record.trace_id = trace_id(n % 40)
    return request


def traces(end_ns: int, count: int = 120, span_s: int = 3500) -> ExportTraceServiceRequest:
    """Traces frontend → cart → payment, with slow ones, failed ones and events."""
    chance = random.Random(11)
    request = ExportTraceServiceRequest()
    spans = {}
    for service in SERVICES:
        holder = request.resource_spans.add()
        holder.resource.attributes.extend(pairs(service__name=service, host__name="shop-1"))
        spans[service] = holder.scope_spans.add().spans
    for n in range(count):
        start = end_ns - int(chance.random() * span_s * 1e9)
        took = int(chance.lognormvariate(17.5, 1.0))
        _one(spans, n, start, took, failed=n % 9 == 4)
    return request


def _one(spans: dict[str, Any], n: int, start: int, took: int, failed: bool) -> None:
    ids = trace_id(n)
    root = _span(spans["frontend"], ids, 0, None, "GET /checkout", 2, start, took)
    root.attributes.extend(pairs(http__request__method="GET", http__route="/checkout", user__id=n * 17))
    cart = _span(spans["cart"], ids, 1, 0, "cart.load", 2, start + took // 20, took // 4)
    for i in range(n % 5 + 1):
        query = _span(
            spans["cart"], ids, 10 + i, 1, "SELECT items", 3, cart.start_time_unix_nano + i * took // 24, took // 26
        )
        query.attributes.extend(
            pairs(db__system__name="postgresql", db__query__text="SELECT * FROM items WHERE cart = $1")
        )
    _span(spans["frontend"], ids, 2, 0, "POST payment", 3, start + took // 3, took // 2)
    charge = _span(spans["payment"], ids, 3, 2, "charge", 2, start + took // 3 + took // 60, took // 2 - took // 30)
    if failed:
        charge.status.code, charge.status.message = 2, "timeout calling bank"
        root.status.code = 2
        event = charge.events.add(name="exception", time_unix_nano=charge.end_time_unix_nano)
        event.attributes.extend(pairs(exception__type="TimeoutError", exception__message="bank did not answer in 3 s"))


def _span(spans: Any, ids: bytes, number: int, parent: int | None, name: str, kind: int, start: int, took: int) -> Any:
    span = spans.add(trace_id=ids, span_id=_span_id(ids, number), name=name, kind=kind)
    span.start_time_unix_nano, span.end_time_unix_nano = start, start + max(took, 1000)
    if parent is not None:
        span.parent_span_id = _span_id(ids, parent)
    return span


def _span_id(ids: bytes, number: int) -> bytes:
    return hashlib.md5(ids + bytes([number])).digest()[:8]
