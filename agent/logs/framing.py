"""Bytes of a file → lines with their offsets; a line longer than the limit is cut, and what was cut is counted."""

from __future__ import annotations

from dataclasses import dataclass

from obs.agent.limits import LINE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Line:
    """`data` without its newline, from byte `start` of the file up to `end` (after the newline)."""

    start: int
    end: int
    data: bytes
    cut_bytes: int = 0


class Framer:
    """Splits a stream that begins at `offset`. Memory is bounded by the limit and the chunk."""

    def __init__(self, offset: int, limit: int = LINE_BYTES_MAX) -> None:
        self.start = offset  # of the line that is not complete yet
        self._limit = limit
        self._held = bytearray()
        self._cut = 0

    @property
    def has_partial(self) -> bool:
        """Whether bytes of an unfinished line are held."""
        return bool(self._held)

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that `chunk` completes."""
        *complete, rest = chunk.split(b"\n")
        lines = [self._complete(part, newline=1) for part in complete]
        self._hold(rest)
        return lines

    def flush(self) -> Line | None:
        """The unfinished line as it stands; what follows will be a line of its own."""
        return self._complete(b"", newline=0) if self._held else None

    def _hold(self, part: bytes) -> None:
        room = self._limit - len(self._held)
        self._held += part[:room]
        self._cut += max(0, len(part) - room)

    def _complete(self, part: bytes, newline: int) -> Line:
        self._hold(part)
        end = self.start + len(self._held) + self._cut + newline
        line = Line(self.start, end, bytes(self._held).removesuffix(b"\r"), self._cut)
        self.start, self._held, self._cut = end, bytearray(), 0
        return line
