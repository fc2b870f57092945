"""OTLP/gRPC: `Export` of the three collector services over raw bytes, errors with RetryInfo.

Source: opentelemetry.io/docs/specs/otlp, section "OTLP/gRPC Throttling"; google.rpc.RetryInfo in the trailing
metadata `grpc-status-details-bin`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc
from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from obs import otlp
from obs.collector import limits
from obs.collector.receivers.otlp.intake import Intake
from obs.errors import ConfigError, ObsError, Overloaded, Unavailable, UserError
from obs.model.batch import Signal

RECEIVER = "otlp_grpc"
THREADS = 16
"""Requests in work at one time: more than decode at once, since each also waits for its body and for the WAL."""

SERVICES = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
}


class OtlpGrpc:
    """The gRPC transport. `start` binds the address; `close` lets requests in work end."""

    def __init__(
        self, intake: Intake, max_body_bytes: int = limits.MAX_BODY_BYTES, body_s: float = limits.GRPC_BODY_S
    ) -> None:
        self._intake = intake
        self._stalled = Stalled(body_s)
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="otlp-grpc"),
            options=[
                ("grpc.max_receive_message_length", max_body_bytes),
                ("grpc.so_reuseport", 0),  # a port in use is an error, not a second listener
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
            ],
        )
        for signal, service in SERVICES.items():
            # what is a call with one message on the wire is read as a stream of one, since that can be given up
            method = grpc.stream_unary_rpc_method_handler(partial(self._export, signal))
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))

    def start(self, address: str) -> int:
        """Listen on `HOST:PORT` (port 0: any free one) and return the port. Raises: ConfigError."""
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError:
            port = 0
        if not port:
            raise ConfigError(
                f"cannot listen on {address!r} for OTLP/gRPC: the port is in use or the address is not ours; "
                "set another with --otlp-grpc HOST:PORT"
            )
        self._server.start()
        self._stalled.start()
        return int(port)

    def close(self, grace_s: float = 5.0) -> None:
        """Stop taking requests and wait for those in work."""
        self._server.stop(grace_s).wait()
        self._stalled.close()

    def _export(self, signal: Signal, bodies: Iterator[bytes], context: Any) -> bytes:
        with self._stalled.watched(context):
            body = next(bodies, b"")
        try:
            return otlp.response(signal, self._intake.take(signal, body, RECEIVER))
        except ObsError as e:
            context.abort_with_status(grpc_status(e))
            raise


class Stalled:
    """Cancels calls whose body does not arrive in time: each keeps a thread waiting."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: dict[Any, float] = {}  # context → when its body was waited for
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp-grpc-stalled", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._closing.set()

    @contextmanager
    def watched(self, context: Any) -> Iterator[None]:
        """While a call waits for its body."""
        self._began[context] = time.monotonic()
        try:
            yield
        finally:
            self._began.pop(context, None)

    def _run(self) -> None:
        while not self._closing.wait(self._seconds / 10):
            latest = time.monotonic() - self._seconds
            for context, began in list(self._began.items()):
                if began < latest:
                    context.cancel()


class _Status(grpc.Status):
    """A gRPC status with its details, as grpc expects one."""

    def __init__(self, code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, bytes], ...]) -> None:
        self.code = code
        self.details = details
        self.trailing_metadata = trailing


def grpc_status(error: ObsError) -> grpc.Status:
    """The error as gRPC says it: senders retry only where RetryInfo or UNAVAILABLE tells them to."""
    if isinstance(error, Overloaded):
        code, number = grpc.StatusCode.RESOURCE_EXHAUSTED, code_pb2.RESOURCE_EXHAUSTED
    elif isinstance(error, Unavailable):
        code, number = grpc.StatusCode.UNAVAILABLE, code_pb2.UNAVAILABLE
    elif isinstance(error, UserError):
        code, number = grpc.StatusCode.INVALID_ARGUMENT, code_pb2.INVALID_ARGUMENT
    else:
        code, number = grpc.StatusCode.INTERNAL, code_pb2.INTERNAL
    status = status_pb2.Status(code=number, message=str(error))
    if isinstance(error, Unavailable):
        delay = duration_pb2.Duration(nanos=int(error.retry_after_s * 1e9) % 10**9, seconds=int(error.retry_after_s))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return _Status(code, str(error), (("grpc-status-details-bin", status.SerializeToString()),))
