"""Lines of one file → records: split pieces joined, continuation lines gathered, each output stream by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from obs.agent.limits import LINE_BYTES_MAX, RECORD_LINES_MAX
from obs.agent.logs.formats import Piece
from obs.agent.logs.framing import Line
from obs.agent.logs.multiline import Continuation


@dataclass(frozen=True, slots=True)
class TextRecord:
    """One log record of a file; `cut_chars` of it were over the limit."""

    text: str
    stream: str
    time_ns: int | None
    cut_chars: int = 0


@dataclass(slots=True)
class _Growing:
    """Text that may still grow. `start` is the offset before which nothing of it lies."""

    start: int
    time_ns: int | None
    parts: list[str] = field(default_factory=list)
    chars: int = 0
    cut: int = 0

    def add(self, text: str, limit: int) -> None:
        room = max(0, limit - self.chars)
        self.parts.append(text[:room])
        self.chars += min(len(text), room)
        self.cut += max(0, len(text) - room)


class StreamAssembler:
    """The records of one stream (`stdout`, `stderr`, or the file itself) of one file."""

    def __init__(self, stream: str, first_line: re.Pattern[str] | None = None, limit: int = LINE_BYTES_MAX) -> None:
        self.stream = stream
        self._limit = limit
        self._continuation = Continuation(first_line)
        self._line: _Growing | None = None  # pieces without an end yet
        self._record: _Growing | None = None

    @property
    def pending_start(self) -> int | None:
        """The offset of the earliest line that no record has given out yet."""
        starts = [g.start for g in (self._record, self._line) if g is not None]
        return min(starts, default=None)

    @property
    def has_partial(self) -> bool:
        """Whether a split line waits for its end."""
        return self._line is not None

    def add(self, line: Line, piece: Piece) -> list[TextRecord]:
        """The records that this line completes."""
        if self._line is None:
            self._line = _Growing(line.start, piece.time_ns)
        self._line.add(piece.text, self._limit)
        self._line.cut += line.cut_bytes
        return self._end_line() if piece.ends else []

    def flush(self, partial: bool) -> list[TextRecord]:
        """The record that waits for continuation; with `partial` also the line that waits for its end."""
        out = self._end_line() if partial and self._line is not None else []
        return out if self._line is not None else out + self._end_record()

    def _end_line(self) -> list[TextRecord]:
        line, self._line = self._line, None
        if line is None:
            return []
        text = "".join(line.parts)
        record = self._record
        if record is not None and len(record.parts) < RECORD_LINES_MAX and self._continuation.takes(text):
            record.add(text, self._limit)
            record.cut += line.cut
            return []
        out = self._end_record()
        if text.strip():
            self._continuation.begin(text)
            line.parts = [text]
            self._record = line
        return out

    def _end_record(self) -> list[TextRecord]:
        record, self._record = self._record, None
        if record is None:
            return []
        return [TextRecord("\n".join(record.parts).rstrip(), self.stream, record.time_ns, record.cut)]
