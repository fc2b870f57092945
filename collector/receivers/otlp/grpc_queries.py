"""Services of queries on the port of OTLP/gRPC, in threads of their own so that they hold up nobody who sends.

Each method has one message in and any number out; what has one out looks on the wire like a stream of one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import Any

import grpc

from obs.collector import limits
from obs.collector.receivers.otlp.grpc_calls import Stalled, grpc_status
from obs.errors import ObsError
from obs.model.ports import Ask

log = logging.getLogger("obs.grpc")


def query_handlers(services: Mapping[str, Mapping[str, Ask]], stalled: Stalled) -> Iterator[grpc.GenericRpcHandler]:
    """The handlers of services by name."""
    threads = ThreadPoolExecutor(limits.GRPC_QUERY_CALLS, thread_name_prefix="grpc-query")
    working = Semaphore(limits.GRPC_QUERIES)
    for service, methods in services.items():
        handlers = {}
        for name, ask in methods.items():
            answered = _answered(ask, stalled, working)
            answered.experimental_thread_pool = threads  # type: ignore[attr-defined]
            handlers[name] = grpc.stream_stream_rpc_method_handler(answered)
        yield grpc.method_handlers_generic_handler(service, handlers)


def _answered(ask: Ask, stalled: Stalled, working: Semaphore) -> Callable[[Iterator[bytes], Any], Iterator[bytes]]:
    def answered(bodies: Iterator[bytes], context: Any) -> Iterator[bytes]:
        with stalled.watched(context):
            body = next(bodies, b"")
        try:
            with stalled.limited(context):
                for message in _worked_out(ask, body, working):
                    with stalled.watched(context):  # until the client takes the next one
                        yield message
        except ObsError as e:
            context.abort_with_status(grpc_status(e))
        except Exception:
            log.exception("a query over gRPC failed")
            context.abort(grpc.StatusCode.INTERNAL, "cannot answer the query: obs has a bug; its log says more")

    return answered


def _worked_out(ask: Ask, body: bytes, working: Semaphore) -> Iterator[bytes]:
    """The messages of an answer; while one waits for its client, another call's is worked out."""
    with working:
        messages = iter(ask(body))
    while True:
        with working:
            message = next(messages, None)
        if message is None:
            return
        yield message
