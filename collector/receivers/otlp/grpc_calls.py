"""Calls over gRPC: given up where their client does not go on; errors as statuses with RetryInfo.

Source: opentelemetry.io/docs/specs/otlp, section "OTLP/gRPC Throttling"; google.rpc.RetryInfo in the trailing
metadata `grpc-status-details-bin`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import grpc
from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from obs.errors import NotFound, ObsError, Overloaded, Unavailable, UserError


class Stalled:
    """Cancels calls whose client does not go on in time, or that take too long as a whole: each keeps a thread."""

    def __init__(self, seconds: float, whole_s: float) -> None:
        self._seconds = seconds
        self._whole_s = whole_s
        self._waiting: dict[Any, float] = {}  # context → until when its client is waited for
        self._limited: dict[Any, float] = {}  # context → until when its call may last
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp-grpc-stalled", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._closing.set()

    def watched(self, context: Any) -> AbstractContextManager[None]:
        """While a call waits for its client."""
        return _until(self._waiting, context, self._seconds)

    def limited(self, context: Any) -> AbstractContextManager[None]:
        """While a call is answered."""
        return _until(self._limited, context, self._whole_s)

    def _run(self) -> None:
        while not self._closing.wait(min(self._seconds, self._whole_s) / 10):
            now = time.monotonic()
            for context, until in [*self._waiting.copy().items(), *self._limited.copy().items()]:  # calls come and go
                if until < now:
                    context.cancel()


@contextmanager
def _until(deadlines: dict[Any, float], context: Any, seconds: float) -> Iterator[None]:
    deadlines[context] = time.monotonic() + seconds
    try:
        yield
    finally:
        deadlines.pop(context, None)


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
