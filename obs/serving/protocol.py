"""HTTP/1.1 as uvicorn speaks it, with bounds on what a client may send before its request is known.

In: bytes of a connection. Out: requests with a head of bounded size that arrived in bounded time; other connections
are closed. What a request brings after its head is bounded where it is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from obs.serving.lingering import LINGER_S, LingeringTransport
from obs.serving.whole import Cycle, Taker, rendered

MAX_HEAD_BYTES = 1 << 20
"""Request line and headers: a query in a URL is seldom past 8 KiB, and clients post longer ones. The parser joins a
header's pieces anew with each that arrives, on the event loop. Counted in pieces as they come, of up to 256 KiB."""

HEAD_S = 30.0
"""From the connection, or from the first byte of a further request, to the end of its head."""

REFUSAL = b"HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s"
WRITTEN = b"HTTP/1.1 204 No Content\r\n\r\n"
IDLE_S = 330.0
"""From an answer to the next request. Prometheus keeps an idle connection for five minutes, others for 90 s: the first
to close must be the client, or a request may meet a connection that has just gone, and no client repeats a POST itself.
Source: idleConnTimeout in prometheus/common/config; net/http's DefaultTransport.
"""
BODY_S = 60.0
"""From the end of a head to the end of the body, of requests that are taken whole."""

TOO_LARGE = f"cannot take the request: its head has more than {MAX_HEAD_BYTES} bytes; post long queries\n".encode()
TOO_SLOW = f"cannot take the request: its head is not whole after {HEAD_S:g} s\n".encode()


class BoundedHttp(HttpToolsProtocol):
    """A connection whose requests must have a head that is neither too long nor too slow."""

    head_s = HEAD_S
    body_s = BODY_S
    idle_s = IDLE_S
    linger_s = LINGER_S
    transport: LingeringTransport  # type: ignore[assignment]
    _head_bytes = 0
    _in_head = True
    _half_closed = False
    _deadline: asyncio.TimerHandle | None = None
    _whole: Cycle | None = None
    """The request that is being read to be taken whole."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.timeout_keep_alive: float = self.idle_s  # type: ignore[assignment]
        self._takers: Mapping[bytes, Taker] = getattr(self.app, "takers", {})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self.transport = LingeringTransport(transport, self.loop, self._is_unread, self.linger_s)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._end_head()
        self.transport.lost()
        if self._whole is not None:
            self._whole.visit.leave()
            self._whole = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes. A head is looked at after each piece, so that no more than a piece comes on top of the bound."""
        if self.transport.lingers:
            return
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large", TOO_LARGE)
        elif self._whole is not None and self._deadline is None:
            self._deadline = self.loop.call_later(self.body_s, self._body_too_late)

    def handle_websocket_upgrade(self) -> None:
        """The connection speaks another protocol from now on."""
        self.transport = self.transport.raw  # type: ignore[assignment]
        super().handle_websocket_upgrade()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. Its answer is still due where a request is whole: what it sent may be stored."""
        self._half_closed = self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete
        return self._half_closed

    def on_response_complete(self) -> None:
        """An answer is sent."""
        super().on_response_complete()
        if self._half_closed and self.cycle.response_complete:
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._end_head()
        taker = self._takers.get(self.url)
        if taker is None or not self._taken_whole(taker):
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        whole = self._whole
        if whole is None:
            super().on_body(body)
        elif (refusal := whole.visit.more(len(body))) is not None:
            self._give_up(whole, refusal)
        else:
            whole.body.append(body)

    def on_message_complete(self) -> None:
        """Its body is whole."""
        whole = self._whole
        if whole is None:
            return super().on_message_complete()
        self._end_head()
        self._whole, whole.more_body = None, False
        body, whole.body = b"".join(whole.body), []
        whole.visit.take(body, lambda response: self._answer_soon(whole, response))
        return None

    def _taken_whole(self, taker: Taker) -> bool:
        """Whether `taker` has the request from now on: a POST of a known size, to whom no answer is due yet."""
        if self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1" or self.expect_100_continue:
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        headers = dict(self.headers)
        size = headers.get(b"content-length", b"")
        if not size.isdigit() or b"transfer-encoding" in headers or b"upgrade" in headers:
            return False
        visit = taker.begin(headers, int(size))
        if visit is None:
            return False
        self._whole = Cycle(visit, self.parser.should_keep_alive())
        self.cycle = self._whole  # type: ignore[assignment]
        return True

    def _answer_soon(self, cycle: Cycle, response: Response) -> None:
        """The same from any thread."""
        self.loop.call_soon_threadsafe(self._answer, cycle, response)

    def _answer(self, cycle: Cycle, response: Response) -> None:
        """The answer to a request that was taken whole."""
        cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        if response.status_code == 204 and cycle.keep_alive and not response.raw_headers:
            self.transport.write(WRITTEN)
        else:
            self.transport.write(rendered(response, cycle.keep_alive))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _body_too_late(self) -> None:
        """A body does not arrive."""
        if self._whole is not None:
            self._give_up(self._whole, self._whole.visit.too_slow(self.body_s))

    def _give_up(self, whole: Cycle, said: Response) -> None:
        """Close the connection, in words, before a body is whole."""
        self._end_head()
        self._whole, whole.body = None, []
        whole.keep_alive = False
        self._answer(whole, said)

    def _is_unread(self) -> bool:
        """Whether the client is in the middle of a request."""
        return bool(self._in_head and self._head_bytes) or (self.cycle is not None and self.cycle.more_body)

    def _await_head(self) -> None:
        self._end_head()
        self._in_head, self._head_bytes = True, 0
        self._deadline = self.loop.call_later(self.head_s, self._too_late)

    def _end_head(self) -> None:
        self._in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._refuse(b"408 Request Timeout", TOO_SLOW)

    def _refuse(self, status: bytes, text: bytes) -> None:
        """Close the connection, in words where a request has begun and no answer to an earlier one is due."""
        if not self.transport.is_closing():
            if self._head_bytes and (self.cycle is None or self.cycle.response_complete):
                self.transport.write(REFUSAL % (status, len(text), text))
            self.transport.close()
        self._end_head()
