"""Calls over gRPC: given up where their client does not go on; errors as statuses with RetryInfo.

Source: opentelemetry.io/docs/specs/otlp, section "OTLP/gRPC Throttling"; google.rpc.RetryInfo in the trailing
metadata `grpc-status-details-bin`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from obs.errors import NotFound, ObsError, Overloaded, Unavailable, UserError


class Stalled:
    """Cancels calls whose client does not go on in time: each keeps a thread waiting."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: dict[Any, float] = {}  # context → when its client was waited for
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
        """While a call waits for its client."""
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
    elif isinstance(error, NotFound):
        code, number = grpc.StatusCode.NOT_FOUND, code_pb2.NOT_FOUND
    elif isinstance(error, UserError):
        code, number = grpc.StatusCode.INVALID_ARGUMENT, code_pb2.INVALID_ARGUMENT
    else:
        code, number = grpc.StatusCode.INTERNAL, code_pb2.INTERNAL
    status = status_pb2.Status(code=number, message=str(error))
    if isinstance(error, Unavailable):
        delay = duration_pb2.Duration(nanos=int(error.retry_after_s * 1e9) % 10**9, seconds=int(error.retry_after_s))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return _Status(code, str(error), (("grpc-status-details-bin", status.SerializeToString()),))
