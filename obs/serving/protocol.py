"""HTTP/1.1 as uvicorn speaks it, with bounds on what a client may send before its request is known.

In: bytes of a connection. Out: requests with a head of bounded size that arrived in bounded time; other connections
are closed. What a request brings after its head is bounded where it is read.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 1 << 20
"""Request line and headers: a query in a URL is seldom past 8 KiB, and clients post longer ones. The parser joins a
header's pieces anew with each that arrives, on the event loop. Counted in pieces as they come, of up to 256 KiB."""

HEAD_S = 30.0
"""From the connection, or from the first byte of a further request, to the end of its head."""

REFUSAL = b"HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s"
TOO_LARGE = f"cannot take the request: its head has more than {MAX_HEAD_BYTES} bytes; post long queries\n".encode()
TOO_SLOW = f"cannot take the request: its head is not whole after {HEAD_S:g} s\n".encode()


class BoundedHttp(HttpToolsProtocol):
    """A connection whose requests must have a head that is neither too long nor too slow."""

    head_s = HEAD_S
    _head_bytes = 0
    _in_head = True
    _half_closed = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes. A head is looked at after each piece, so that no more than a piece comes on top of the bound."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large", TOO_LARGE)

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
        super().on_headers_complete()

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
        self._end_head()
        if self.transport.is_closing():
            return
        if self._head_bytes and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(REFUSAL % (status, len(text), text))
        self.transport.close()
