"""Telemetry through the OpenTelemetry SDK and its own exporters, as an instrumented program sends it."""

from __future__ import annotations

import logging
import secrets
import uuid

from obs_process import ObsProcess
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor


class Sent:
    """One order sent through the SDK as a span, a log record and three metrics."""

    def __init__(self, obs: ObsProcess, transport: str) -> None:
        self.service = f"shop-{transport}-{uuid.uuid4().hex[:8]}"
        resource = Resource.create({"service.name": self.service, "service.instance.id": "1"})
        if transport == "grpc":
            address = {"endpoint": f"http://{obs.otlp_grpc}", "insecure": True}
            spans, logs, points = GrpcSpans(**address), GrpcLogs(**address), GrpcMetrics(**address)
        else:
            spans = HttpSpans(f"{obs.otlp_http}/v1/traces")
            logs = HttpLogs(f"{obs.url}/v1/logs")
            points = HttpMetrics(f"{obs.url}/api/v1/otlp/v1/metrics")
        tracing, logging_ = TracerProvider(resource=resource), LoggerProvider(resource)
        tracing.add_span_processor(SimpleSpanProcessor(spans))
        logging_.add_log_record_processor(SimpleLogRecordProcessor(logs))
        metering = MeterProvider([PeriodicExportingMetricReader(points, 3_600_000)], resource)
        self.text = f"order {secrets.token_hex(6)} done"
        log = logging.getLogger(self.service)
        log.addHandler(LoggingHandler(logger_provider=logging_))
        log.setLevel(logging.INFO)
        with tracing.get_tracer("test").start_as_current_span("place order", attributes={"shop.order": 7}) as span:
            span.add_event("paid", {"amount": 12.5})
            log.info(self.text)
            self.trace_id = f"{span.get_span_context().trace_id:032x}"
        meter = metering.get_meter("test")
        meter.create_counter("shop.orders", "{order}").add(3, {"outcome": "done"})
        meter.create_histogram("shop.duration", "s").record(0.3)
        meter.create_up_down_counter("shop.queue").add(5)
        for provider in (metering, tracing, logging_):
            provider.shutdown()
