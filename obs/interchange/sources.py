"""Files as streams: opened, inflated (gzip, zstd), read line by line, and the format guessed from name and content.

How many bytes were read is counted on the file's own side, so that a progress bar can tell how much is left.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from obs.errors import UserError
from obs.interchange.limits import LINE_BYTES

PEEK = 1 << 16
GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"


class Format(StrEnum):
    """What a file of samples may be."""

    OPENMETRICS = "openmetrics"
    DUMP = "promtool-dump"
    CSV = "csv"
    PARQUET = "parquet"


SUFFIXES = {
    ".om": Format.OPENMETRICS, ".openmetrics": Format.OPENMETRICS, ".prom": Format.OPENMETRICS,
    ".dump": Format.DUMP, ".csv": Format.CSV, ".parquet": Format.PARQUET,
}  # fmt: skip


class _Counted(io.RawIOBase):
    """A raw file that tells how much was read of it."""

    def __init__(self, raw: IO[bytes], tell: Callable[[int], None]) -> None:
        self._raw, self._tell = raw, tell

    def readable(self) -> bool:
        return True

    def readinto(self, into: memoryview) -> int:  # type: ignore[override]
        data = self._raw.read(len(into))
        into[: len(data)] = data
        self._tell(len(data))
        return len(data)

    def close(self) -> None:
        if self._raw is not sys.stdin.buffer:
            self._raw.close()
        super().close()


class Source:
    """One input: a file, a folder of a block, or standard input (`-`). `stream` is its content, inflated."""

    def __init__(self, name: str, tell: Callable[[int], None] = lambda _: None) -> None:
        self.name = "standard input" if name == "-" else name
        self.path = None if name == "-" else Path(name)
        self.is_folder = self.path is not None and self.path.is_dir()
        self._tell = tell
        if not self.is_folder:
            self.stream = self._open(tell)

    def _open(self, tell: Callable[[int], None]) -> io.BufferedReader[Any]:
        try:
            raw: IO[bytes] = sys.stdin.buffer if self.path is None else self.path.open("rb", buffering=0)
        except OSError as e:
            raise UserError(f"cannot open {self.name!r}: {e.strerror}; name a file that can be read") from None
        counted = io.BufferedReader(_Counted(raw, tell), PEEK)
        stream = _inflated(counted)
        self.is_plain = stream is counted
        return stream

    def format(self) -> Format:
        """The format by name, else by content. Raises: UserError where it is neither."""
        if self.is_folder:
            return Format.PARQUET
        with self.readable():
            head = bytes(self.stream.peek(PEEK)[:PEEK])
        if head.startswith(PARQUET):
            return Format.PARQUET
        named = self.path and next((SUFFIXES[s] for s in reversed(self.path.suffixes) if s in SUFFIXES), None)
        return named or _guess(head)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """(number from 1, line without its end). Raises: UserError."""
        number = 0
        readline = self.stream.readline
        with self.readable():
            while line := readline(LINE_BYTES):
                number += 1
                if len(line) == LINE_BYTES and not line.endswith(b"\n"):
                    raise UserError(
                        f"cannot read {self.name}:{number}: the line is longer than {LINE_BYTES} bytes; is it text?"
                    )
                yield number, line.rstrip(b"\r\n")

    def read_share(self, share: float) -> None:
        """Tell that a share of the file was read by another way than `stream`."""
        if self.path is not None and (self.is_folder or self.is_plain):
            self._tell(int(share * (size_of(str(self.path)) or 0)))

    def readable(self) -> _Reading:
        """A context in which what is wrong with the file itself is told as such."""
        return _Reading(self.name)

    def close(self) -> None:
        """Let the file go."""
        if not self.is_folder:
            self.stream.close()


class _Reading:
    """Turns the errors of files and of decompression into words."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, (OSError, EOFError, zlib.error, pa.ArrowException)):
            raise UserError(f"cannot read {self._name!r}: {error}; is the file whole?") from None


def _inflated(raw: io.BufferedReader[Any]) -> io.BufferedReader[Any]:
    head = raw.peek(4)[:4]
    if head.startswith(GZIP):
        return io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)), PEEK)
    if head.startswith(ZSTD):
        return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd"), PEEK)
    return raw


def _guess(head: bytes) -> Format:
    """By the first line that says something; text of samples where nothing speaks for anything else."""
    first = next((line.strip() for line in head.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()), b"")
    words = [word.strip().strip(b'"') for word in first.split(b",")]
    if b"value" in words:
        return Format.CSV
    if first.startswith(b'{__name__="') or (first.startswith(b"{") and first.count(b"} ") and b'="' in first):
        return Format.DUMP
    return Format.OPENMETRICS


def size_of(name: str) -> int | None:
    """Bytes of a file or of a folder's files, None where nobody can know."""
    if name == "-":
        return None
    path = Path(name)
    if path.is_dir():
        return sum(f.stat().st_size for f in path.rglob("*.parquet"))
    try:
        return os.stat(path).st_size if path.is_file() else None
    except OSError:
        return None
