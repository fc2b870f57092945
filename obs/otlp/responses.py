"""The answer to an export: Export*ServiceResponse with `partial_success` where items were refused."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from obs.model.batch import Decoded, Signal
from obs.otlp.reasons import SENTENCES

_RESPONSES: dict[Signal, tuple[Any, str, str]] = {
    Signal.TRACES: (trace_service_pb2.ExportTraceServiceResponse, "rejected_spans", "spans"),
    Signal.LOGS: (logs_service_pb2.ExportLogsServiceResponse, "rejected_log_records", "log records"),
    Signal.METRICS: (metrics_service_pb2.ExportMetricsServiceResponse, "rejected_data_points", "data points"),
}


def _message(signal: Signal, decoded: Decoded) -> Any:
    make, field, noun = _RESPONSES[signal]
    response = make()
    if decoded.rejected:
        setattr(response.partial_success, field, decoded.rejected_items)
        response.partial_success.error_message = _explain(noun, decoded)
    return response


def _explain(noun: str, decoded: Decoded) -> str:
    sentences = {**SENTENCES, **decoded.why}
    causes = (f"{count} because {sentences.get(reason, reason)}" for reason, count in decoded.rejected.items())
    return f"cannot store {decoded.rejected_items} {noun}: {'; '.join(causes)}"


def response(signal: Signal, decoded: Decoded) -> bytes:
    """The answer as protobuf; empty where all was taken."""
    return bytes(_message(signal, decoded).SerializeToString()) if decoded.rejected else b""


def response_json(signal: Signal, decoded: Decoded) -> bytes:
    """The answer as OTLP/JSON."""
    if not decoded.rejected:
        return b"{}"
    return bytes(json_format.MessageToJson(_message(signal, decoded), indent=None).encode())
