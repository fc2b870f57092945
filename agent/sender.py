"""OTLP over gRPC: one channel, raw bytes in, what became of them out."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import Enum
from typing import Any

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from obs.agent.limits import BACKOFF_FIRST_S, BACKOFF_MAX_S, SEND_TIMEOUT_S

METHODS = {
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
RESPONSES: dict[str, Any] = {"metrics": ExportMetricsServiceResponse, "logs": ExportLogsServiceResponse}
REJECTED_FIELDS = {"metrics": "rejected_data_points", "logs": "rejected_log_records"}


class Verdict(Enum):
    """What to do after one try."""

    DELIVERED = "delivered"
    RETRY = "retry"  # the server is away or busy: as often as it takes
    DOUBTFUL = "doubtful"  # likely to stay so: a few times
    REFUSED = "refused"  # will never be taken


# Source: OTLP specification, "OTLP/gRPC response"; RESOURCE_EXHAUSTED is retryable only with RetryInfo.
VERDICTS = {
    **dict.fromkeys(
        ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"), Verdict.RETRY
    ),
    **dict.fromkeys(
        ("RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"),
        Verdict.DOUBTFUL,
    ),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The server's answer: `rejected` items of a delivered request, or why and how long to wait."""

    verdict: Verdict
    code: str = "OK"
    message: str = ""
    rejected: int = 0
    retry_after_s: float | None = None


def retry_after_s(details: bytes) -> float | None:
    """The delay in a RetryInfo of `grpc-status-details-bin`, or None."""
    try:
        status = Status.FromString(details)
    except Exception:  # google.protobuf's DecodeError; a server that cannot speak gives no hint
        return None
    for detail in status.details:
        info = RetryInfo()
        if detail.Is(RetryInfo.DESCRIPTOR) and detail.Unpack(info):
            return float(info.retry_delay.seconds) + info.retry_delay.nanos / 1e9
    return None


def backoff_s(failures: int) -> float:
    """Doubling from the first to the longest wait, with jitter so that many agents do not return at once."""
    longest = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * math.pow(2.0, min(failures - 1, 10)))
    return longest * random.uniform(0.5, 1.0)


class Sender:
    """A channel to one server; safe for several threads. Text is compressed unless the server is this machine."""

    def __init__(self, target: str, timeout_s: float = SEND_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        local = target.rpartition(":")[0].strip("[]") in ("127.0.0.1", "localhost", "::1")
        compression = grpc.Compression.NoCompression if local else grpc.Compression.Gzip
        # Our own back-off decides when to try again: gRPC's must not add two minutes to it.
        options = [("grpc.max_reconnect_backoff_ms", 2_000), ("grpc.initial_reconnect_backoff_ms", 200)]
        self._channel = grpc.insecure_channel(target, options=options, compression=compression)
        self._calls: dict[str, Any] = {s: self._channel.unary_unary(m) for s, m in METHODS.items()}

    def send(self, signal: str, body: bytes) -> Outcome:
        """One try; never raises for what a server or a network may do."""
        try:
            answer = self._calls[signal](body, timeout=self._timeout_s)
        except grpc.RpcError as error:
            return _failure(error)
        except ValueError:  # the channel was closed while we were stopping
            return Outcome(Verdict.RETRY, "CANCELLED", "the channel is closed")
        return _success(signal, answer)

    def close(self) -> None:
        """Drop the connection; calls under way end as CANCELLED."""
        self._channel.close()


def _success(signal: str, answer: bytes) -> Outcome:
    try:
        partial = RESPONSES[signal].FromString(answer).partial_success
    except Exception:  # taken all the same; what cannot be read tells nothing
        return Outcome(Verdict.DELIVERED)
    rejected = int(getattr(partial, REJECTED_FIELDS[signal]))
    return Outcome(Verdict.DELIVERED, message=partial.error_message, rejected=rejected)


def _failure(error: Any) -> Outcome:
    code = error.code().name
    hint = None
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            hint = retry_after_s(value)
    verdict = Verdict.RETRY if hint is not None else VERDICTS.get(code, Verdict.REFUSED)
    return Outcome(verdict, code, error.details() or "", retry_after_s=hint)
