"""OTLP/gRPC: `Export` of the three collector services over raw bytes, and beside it the services of queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc

from obs import otlp
from obs.collector import limits
from obs.collector.receivers.otlp.grpc_calls import Stalled, grpc_status
from obs.collector.receivers.otlp.grpc_queries import query_handlers
from obs.collector.receivers.otlp.intake import Intake
from obs.errors import ConfigError, ObsError
from obs.model.batch import Signal
from obs.model.ports import Ask

RECEIVER = "otlp_grpc"
THREADS = 16
"""Requests in work at one time: more than decode at once, since each also waits for its body and for the WAL."""

SERVICES = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
}
NO_QUERIES: Mapping[str, Mapping[str, Ask]] = {}


class OtlpGrpc:
    """The gRPC transport, of queries too. `start` binds the address; `close` lets requests in work end."""

    def __init__(
        self,
        intake: Intake,
        max_body_bytes: int = limits.MAX_BODY_BYTES,
        body_s: float = limits.GRPC_BODY_S,
        queries: Mapping[str, Mapping[str, Ask]] = NO_QUERIES,
        query_s: float = limits.GRPC_QUERY_S,
    ) -> None:
        self._intake = intake
        self._stalled = Stalled(body_s, query_s)
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
        self._server.add_generic_rpc_handlers(tuple(query_handlers(queries, self._stalled)))

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
