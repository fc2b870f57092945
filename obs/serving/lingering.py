"""Closing a connection so that a client who is still sending hears why.

A socket that is closed with bytes unread is reset, and a reset takes back the answer that the client has not read yet:
it sees a broken connection where it was told 413 or 503, and sends the same again. So we say that we have no more to
say, and let what still comes fall, for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

LINGER_S = 5.0
"""How long: what is on the way arrives, and no one is held up who sends for ever."""


class LingeringTransport:
    """A transport whose `close` waits while the client is not through; what arrives then is to be let fall."""

    __slots__ = ("_loop", "_timer", "_unread", "linger_s", "lingers", "raw", "write")

    def __init__(
        self, raw: asyncio.Transport, loop: asyncio.AbstractEventLoop, unread: Callable[[], bool], linger_s: float
    ) -> None:
        """`unread`: whether the client is in the middle of something."""
        self.raw, self._loop, self._unread, self.linger_s = raw, loop, unread, linger_s
        self.write = raw.write
        self.lingers = False
        self._timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def is_closing(self) -> bool:
        """Whether nothing more is to be said."""
        return self.lingers or self.raw.is_closing()

    def close(self) -> None:
        """Say no more; end the connection once the client does, or its time is up."""
        if self.lingers:
            return
        if self.raw.is_closing() or not self._unread():
            self.raw.close()
            return
        self.lingers = True
        self.raw.write_eof()
        self.raw.resume_reading()
        self._timer = self._loop.call_later(self.linger_s, self.raw.close)

    def lost(self) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
