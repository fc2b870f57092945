"""Requests that are taken whole: their body is gathered by the connection and given to a worker, past ASGI.

For the hottest path only: an ASGI request costs more than decoding a thousand samples. What is out of the ordinary
(a large or chunked body, `Expect`, a pipelined request) goes the usual way, to the same receiver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from starlette.responses import Response

Answer = Callable[[Response], None]
"""Sends the answer of a request; from any thread, once."""


class Visit(Protocol):
    """One request that is taken whole."""

    def more(self, nbytes: int) -> Response | None:
        """A piece of the body came; the answer where there is no room for it, and everything is let go of."""

    def take(self, body: bytes, answer: Answer) -> None:
        """Work on the body elsewhere, and answer."""

    def too_slow(self, seconds: float) -> Response:
        """The body did not arrive in time: let go of everything; the answer."""

    def leave(self) -> None:
        """The client went away before its body was whole."""


class Taker(Protocol):
    """Who takes requests whole."""

    def begin(self, headers: Mapping[bytes, bytes], nbytes: int) -> Visit | None:
        """A request whose body will have `nbytes`; None where it should come the usual way."""


class Cycle:
    """A request and its answer as uvicorn's protocol keeps track of them: see its `RequestResponseCycle`."""

    __slots__ = ("body", "disconnected", "keep_alive", "more_body", "response_complete", "visit")

    message_event = asyncio.Event()  # nobody waits for it

    def __init__(self, visit: Visit, keep_alive: bool) -> None:
        self.visit = visit
        self.keep_alive = keep_alive
        self.body: list[bytes] = []
        self.more_body = True
        self.response_complete = self.disconnected = False


def rendered(response: Response, keep_alive: bool) -> bytes:
    """An answer as it is sent."""
    lines = [b"HTTP/1.1 %d %s\r\n" % (response.status_code, HTTPStatus(response.status_code).phrase.encode())]
    lines += [b"%s: %s\r\n" % pair for pair in response.raw_headers]
    if not keep_alive and "connection" not in response.headers:
        lines.append(b"connection: close\r\n")
    return b"".join([*lines, b"\r\n", response.body])
