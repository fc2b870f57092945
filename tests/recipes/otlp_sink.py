"""A small real OTLP/gRPC server for tests: keeps every metrics and logs request that it acknowledges.

It can be told to answer with an error first; started on a free port or on a given one (to come back after a stop).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

SERVICES = {
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """String, bool and int attributes as a dict."""
    return {p.key: getattr(p.value, p.value.WhichOneof("value")) for p in pairs}


class OtlpSink:
    """What arrived, and how to answer: `answer(signal, context)` may abort before the request is kept."""

    def __init__(self, port: int = 0, answer: Callable[[str, Any], None] | None = None) -> None:
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.logs: list[ExportLogsServiceRequest] = []
        self.answer = answer
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers([_Handler(self)])
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self._server.start()

    @property
    def target(self) -> str:
        """HOST:PORT of this server."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Close the port."""
        self._server.stop(0).wait()

    def take(self, signal: str, body: bytes, context: Any) -> bytes:
        """One request."""
        if self.answer is not None:
            self.answer(signal, context)
        with self._lock:
            if signal == "metrics":
                self.metrics.append(ExportMetricsServiceRequest.FromString(body))
            else:
                self.logs.append(ExportLogsServiceRequest.FromString(body))
        return b""

    def points(self) -> Iterator[tuple[str, dict[str, Any], float]]:
        """(name as Prometheus has it, labels, value) of all metrics in order of arrival."""
        for request in list(self.metrics):
            for metric in request.resource_metrics[0].scope_metrics[0].metrics:
                is_sum = metric.WhichOneof("data") == "sum"
                name = metric.name + ("_total" if is_sum and metric.sum.is_monotonic else "")
                for point in (metric.sum if is_sum else metric.gauge).data_points:
                    yield name, attributes(point.attributes), point.as_double

    def values(self, name: str, **labels: str) -> list[float]:
        """The values of one metric over time, of the series that carry `labels`."""
        return [v for n, ls, v in self.points() if n == name and labels.items() <= ls.items()]

    def records(self) -> list[tuple[dict[str, Any], LogRecord]]:
        """(resource attributes, record) of all logs in order of arrival."""
        return [
            (attributes(resource.resource.attributes), record)
            for request in list(self.logs)
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def bodies(self, **wanted: str) -> list[str]:
        """The texts of all log records whose resource or own attributes include `wanted` (dots as `__`)."""
        pairs = {k.replace("__", "."): v for k, v in wanted.items()}.items()
        return [
            record.body.string_value
            for resource, record in self.records()
            if pairs <= (resource | attributes(record.attributes)).items()
        ]


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, sink: OtlpSink) -> None:
        self._sink = sink

    def service(self, handler_call_details: Any) -> Any:
        signal = SERVICES.get(handler_call_details.method.split("/")[1])
        if signal is None:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda body, context: self._sink.take(signal, body, context))


@contextmanager
def otlp_sink(port: int = 0, answer: Callable[[str, Any], None] | None = None) -> Iterator[OtlpSink]:
    """A sink that is stopped at the end."""
    sink = OtlpSink(port, answer)
    try:
        yield sink
    finally:
        sink.stop()


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """The first true value of `condition`, polled until the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")
