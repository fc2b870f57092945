"""The OpenTelemetry SDK as an application sets it up: traces, metrics and logs over OTLP, one resource for all."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from fastapi import FastAPI
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import Meter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer

EXPORT_MS = 2_000


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One process's tracer, meter and logger; `close` sends what is left."""

    tracer: Tracer
    meter: Meter
    log: logging.Logger
    traces: TracerProvider
    metrics: MeterProvider
    logs: LoggerProvider

    def close(self) -> None:
        """Flush and stop."""
        for provider in (self.traces, self.metrics, self.logs):
            provider.shutdown()


def instrument(app: FastAPI, telemetry: Telemetry) -> None:
    """One server span a request, without one more for each message of its body."""
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=telemetry.traces,
        meter_provider=telemetry.metrics,
        exclude_spans=["send", "receive"],
    )


def set_up(service: str, to: str, instance: str = "1") -> Telemetry:
    """Telemetry of `service`, exported to OTLP/gRPC at `to` (HOST:PORT)."""
    resource = Resource.create(
        {
            "service.name": service,
            "service.namespace": "shop",
            "service.instance.id": f"{service}-{instance}",
            "service.version": "1.0.0",
            "deployment.environment.name": "demo",
        }
    )
    endpoint = f"http://{to}"
    traces = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
    traces.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_MS))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint, insecure=True), 5_000)
    metrics = MeterProvider([reader], resource)
    logs = LoggerProvider(resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=endpoint, insecure=True)))
    set_logger_provider(logs)
    log = logging.getLogger(service)
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(LoggingHandler(logger_provider=logs))
    return Telemetry(traces.get_tracer("obs.demo"), metrics.get_meter("obs.demo"), log, traces, metrics, logs)
