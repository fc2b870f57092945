"""One open log file: what it is (inode and fingerprint), how far it is read, and the records that come of it."""

from __future__ import annotations

import os
import re
import secrets
import time
from dataclasses import dataclass

from obs.agent.limits import (
    FILE_BYTES_PER_POLL,
    FINGERPRINT_BYTES,
    MULTILINE_FLUSH_S,
    PARTIAL_FLUSH_S,
    READ_CHUNK_BYTES,
)
from obs.agent.logs.assemble import StreamAssembler, TextRecord
from obs.agent.logs.formats import decode, sniff
from obs.agent.logs.framing import Framer, Line
from obs.agent.logs.mark import FileMark, Fingerprint


@dataclass(slots=True)
class ReadCounts:
    """What reading one file came to since the counts were last taken."""

    bytes: int = 0
    lines: int = 0
    cut: int = 0


class FollowedFile:
    """A file from `offset` on. The descriptor stays open, so a renamed or deleted file is read to its end."""

    def __init__(
        self, path: str, fd: int, offset: int, *, key: str = "", first_line: re.Pattern[str] | None = None
    ) -> None:
        stat = os.fstat(fd)
        self.key = key or secrets.token_hex(8)
        self.path = path
        self.device, self.inode = stat.st_dev, stat.st_ino
        self.fingerprint = Fingerprint.of(os.pread(fd, FINGERPRINT_BYTES, 0))
        self.offset = offset
        self.gone_since: float | None = None  # monotonic; when the path first led elsewhere
        self.last_data = time.monotonic()
        self.counts = ReadCounts()
        self.has_given = bool(key)  # records of it, in this life or an earlier one
        self.is_failing = False  # the last look ended with an error
        self.has_more = False  # the last read ended at its budget
        self._fd = fd
        self._first_line = first_line
        self._framer = Framer(offset)
        self._format = ""
        self._streams: dict[str, StreamAssembler] = {}
        self._seen = (0, 0, -1, 0)

    def close(self) -> None:
        """Release the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def again(self) -> FollowedFile:
        """The same file from its beginning, under a new key: it was truncated. This one is closed. Raises: OSError."""
        fd = os.dup(self._fd)
        try:
            fresh = FollowedFile(self.path, fd, 0, first_line=self._first_line)
        except OSError:
            os.close(fd)
            raise
        self.close()
        return fresh

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return os.path.basename(self.path)

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode

    @property
    def mark(self) -> FileMark:
        """Everything before this mark's offset has been given out as records."""
        starts = [a.pending_start for a in self._streams.values()]
        safe = min([s for s in starts if s is not None], default=self._framer.start)
        return FileMark(self.key, self.path, self.device, self.inode, self.fingerprint, min(safe, self._framer.start))

    def was_replaced(self) -> bool:
        """Whether the content is no longer what we read: shorter than our position, or another beginning."""
        if os.fstat(self._fd).st_size < self.offset:
            return True
        head = os.pread(self._fd, FINGERPRINT_BYTES, 0)
        if not self.fingerprint.matches(head):
            return True
        if len(head) > self.fingerprint.length:
            self.fingerprint = Fingerprint.of(head)
        return False

    def is_unchanged(self, status: os.stat_result) -> bool:
        """Whether the file is as the last `read` left it, with nothing held back: then there is nothing to do."""
        now = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        was, self._seen = self._seen, now
        return now == was and status.st_size == self.offset and not self._holds_something

    @property
    def _holds_something(self) -> bool:
        return self._framer.has_partial or any(a.pending_start is not None for a in self._streams.values())

    @property
    def unread_bytes(self) -> int:
        """Bytes after our position."""
        return max(0, os.fstat(self._fd).st_size - self.offset)

    def read(self, budget: int = FILE_BYTES_PER_POLL) -> list[TextRecord]:
        """Records of at most `budget` new bytes, and those that silence completes."""
        out: list[TextRecord] = []
        while budget > 0:
            chunk = os.pread(self._fd, min(budget, READ_CHUNK_BYTES), self.offset)
            if not chunk:
                break
            budget -= len(chunk)
            self.offset += len(chunk)
            self.counts.bytes += len(chunk)
            self.last_data = time.monotonic()
            for line in self._framer.feed(chunk):
                out += self._line(line)
        self.has_more = budget <= 0
        return out or self._after_silence()

    def finish(self) -> list[TextRecord]:
        """Everything that is held back, complete or not: nothing will follow."""
        return self._flush_line() + self._flush(partial=True)

    def _line(self, line: Line) -> list[TextRecord]:
        self._format = self._format or sniff(line.data)
        piece = decode(self._format, line.data)
        self.counts.lines += 1
        self.counts.cut += line.cut_bytes > 0
        assembler = self._streams.get(piece.stream)
        if assembler is None:
            assembler = self._streams[piece.stream] = StreamAssembler(piece.stream, self._first_line)
        return assembler.add(line, piece)

    def _after_silence(self) -> list[TextRecord]:
        quiet = time.monotonic() - self.last_data
        out: list[TextRecord] = []
        if quiet >= PARTIAL_FLUSH_S and self._format in ("", "plain"):
            out += self._flush_line()
        if quiet >= MULTILINE_FLUSH_S:
            out += self._flush(partial=quiet >= PARTIAL_FLUSH_S)
        return out

    def _flush_line(self) -> list[TextRecord]:
        line = self._framer.flush()
        return [] if line is None else self._line(line)

    def _flush(self, partial: bool) -> list[TextRecord]:
        return [r for a in self._streams.values() for r in a.flush(partial)]
