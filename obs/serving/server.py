"""The HTTP servers of the process: several ASGI apps on their own sockets in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import uvicorn
import uvloop

from obs.serving.front import AsgiApp
from obs.serving.protocol import BoundedHttp

GRACE_S = 5
"""How long requests in work may take once the process was told to stop."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An app and the listening socket it answers on."""

    app: AsgiApp
    sock: socket.socket


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us, since there are several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def serve(listeners: Sequence[Listener], on_serving: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; `on_serving` is called in a worker thread once every socket is answered."""
    uvloop.run(_serve(listeners, on_serving))


async def _serve(listeners: Sequence[Listener], on_serving: Callable[[], None]) -> None:
    servers = [_Server(_config(listener.app)) for listener in listeners]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, servers)
    pairs = zip(servers, listeners, strict=True)
    tasks = [asyncio.create_task(s.serve(sockets=[li.sock])) for s, li in pairs]
    while not all(s.started for s in servers) and not any(t.done() for t in tasks):
        await asyncio.sleep(0.005)
    await asyncio.to_thread(on_serving)
    await asyncio.gather(*tasks)


def _config(app: AsgiApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        proxy_headers=False,
        lifespan="off",
        http=BoundedHttp,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        date_header=False,
    )


def _stop(servers: Sequence[uvicorn.Server]) -> None:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # a request cut off by the end is no error
    for server in servers:
        server.force_exit = server.should_exit  # a second signal does not wait
        server.should_exit = True
