"""Messages out of a TCP stream: counted (`LEN MSG`) or ended by a line feed. Source: RFC 6587."""

from __future__ import annotations

import re

MAX_MESSAGE_BYTES = 16 << 20
"""What is kept of one message; the rest of a longer one is left out, and it says so."""

CUT = b" [cut by obs: the message is longer than 16 MiB]"

_COUNT = re.compile(rb"(\d{1,10}) ")


class Framer:
    """Cuts what arrives into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipping = 0  # bytes of a counted message that is too long
        self._to_line_end = False  # the same for one that ends with its line

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now."""
        self._rest += data
        found: list[bytes] = []
        at = 0
        while (taken := self._next(at, found)) is not None:
            at = taken
        del self._rest[:at]
        return [message for message in found if message.strip(b"\0\r\n")]

    def end(self) -> list[bytes]:
        """What is left when the sender has closed its side."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest.strip() and not self._to_line_end and not self._skipping else []

    def _next(self, at: int, found: list[bytes]) -> int | None:
        """Where the next message ends, or None where it is not whole yet."""
        if self._skipping:
            skipped = min(self._skipping, len(self._rest) - at)
            self._skipping -= skipped
            return at + skipped if skipped else None
        counted = None if self._to_line_end else _COUNT.match(self._rest, at)
        return self._by_count(counted, found) if counted else self._by_line(at, found)

    def _by_count(self, counted: re.Match[bytes], found: list[bytes]) -> int | None:
        begin, length = counted.end(), int(counted[1])
        kept = min(length, MAX_MESSAGE_BYTES)
        if len(self._rest) < begin + kept:
            return None
        found.append(bytes(self._rest[begin : begin + kept]) + (CUT if kept < length else b""))
        self._skipping = length - kept
        return begin + kept

    def _by_line(self, at: int, found: list[bytes]) -> int | None:
        end = self._rest.find(b"\n", at)
        if end < 0 and self._rest[at : at + 11].isdigit():
            return None  # the count may not be whole
        if end >= 0:
            if not self._to_line_end:
                found.append(bytes(self._rest[at:end]))
            self._to_line_end = False
            return end + 1
        if len(self._rest) - at > MAX_MESSAGE_BYTES:
            if not self._to_line_end:
                found.append(bytes(self._rest[at : at + MAX_MESSAGE_BYTES]) + CUT)
            self._to_line_end = True
            return len(self._rest)
        return None
