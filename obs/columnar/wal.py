"""One WAL segment: Arrow batches in, frames on disk; and the way back.

Each (table, schema) of a segment is one Arrow IPC stream whose bytes are spread over the frames: the schema goes
out once, with the first batch, and a dictionary only when it changes.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from obs.columnar.arrow_files import Feed, Gather
from obs.columnar.disk import sync_folder
from obs.columnar.frame import HEADER, End, Part, decode_payload, encode_frame, frames, how_it_ends
from obs.columnar.limits import MAX_STREAMS, SINK_BYTES
from obs.errors import StorageFull

_SEGMENT = struct.Struct("<8sQ")  # magic with the format's version, generation
_MAGIC = b"obsWAL1\n"
_IPC = pa.ipc.IpcWriteOptions(use_threads=False)


class SegmentWriter:
    """The segment that takes appends. Not thread-safe, but for `sync`, which may run beside `append`.

    Raises: OSError from the constructor where the file cannot be made.
    """

    def __init__(self, path: Path, generation: int) -> None:
        self.path = path
        self.generation = generation
        self.broken = False  # a frame could not be cut off, or not be synced: only a new segment can go on
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._close_lock = threading.Lock()
        self._gather = Gather()
        self._sink = pa.BufferedOutputStream(pa.PythonFile(self._gather, mode="w"), SINK_BYTES)
        self._streams: dict[tuple[str, pa.Schema], tuple[int, Any]] = {}
        self._next_stream = 0
        self._first_stream = 0
        self._synced = 0
        self.size = 0
        try:
            self._write(_SEGMENT.pack(_MAGIC, generation))
        except OSError:
            os.close(self._fd)
            os.unlink(path)
            raise

    def append(self, parts: Sequence[tuple[str, pa.RecordBatch]], *, sync: bool = False) -> int:
        """Write one frame that holds all of `parts`; returns its bytes.

        Raises: StorageFull where it cannot be written or synced; nothing of it is then in the file.
        """
        start = self.size
        try:
            frame = self._encode(parts)
            self._write(frame)
            if sync:
                self.sync()
        except OSError as e:
            self._cut(start)
            self._forget_streams()
            raise StorageFull(f"cannot write WAL {str(self.path)!r}: {e.strerror}; free space in the folder") from e
        except BaseException:
            self._forget_streams()
            raise
        return len(frame)

    def _encode(self, parts: Sequence[tuple[str, pa.RecordBatch]]) -> bytes:
        encoded = []
        if len(self._streams) + len(parts) > MAX_STREAMS:
            self._forget_streams()
        for table, batch in parts:
            key = (table, batch.schema)
            stream = self._streams.get(key)
            if stream is None:
                stream = (self._next_stream, pa.ipc.new_stream(self._sink, batch.schema, options=_IPC))
                self._next_stream += 1
                self._streams[key] = stream
            stream[1].write_batch(batch)
            self._sink.flush()
            encoded.append(Part(stream[0], table, self._gather.take()))
        return encode_frame(self._first_stream, encoded)

    def _forget_streams(self) -> None:
        """Begin every stream anew: what the open ones already wrote may not be in the file."""
        self._streams.clear()
        self._first_stream = self._next_stream
        try:
            self._sink.flush()
        except (OSError, pa.ArrowException):
            pass
        self._gather.take()

    def _write(self, data: bytes) -> None:
        """Put `data` at the end of the file. Raises: OSError: some of it may be there."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self.size += len(data)

    def _cut(self, size: int) -> None:
        """Take back what was written past `size`."""
        try:
            os.ftruncate(self._fd, size)
            os.lseek(self._fd, size, os.SEEK_SET)
            self.size = size
        except OSError:
            self.broken = True

    def sync(self) -> bool:
        """fsync what was written since the last time; False where there was nothing.

        Raises: OSError; the segment is then broken, since a later sync may succeed without what this one lost.
        """
        with self._close_lock:
            size = self.size
            if self._fd < 0 or size == self._synced:
                return False
            try:
                os.fdatasync(self._fd)
                if not self._synced:
                    sync_folder(self.path.parent)
            except OSError:
                self.broken = True
                raise
            self._synced = size
            return True

    @property
    def empty(self) -> bool:
        """Whether no frame was written."""
        return self.size <= _SEGMENT.size

    def close(self) -> None:
        """Let go of the file, without a sync; safe to call twice."""
        with self._close_lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


class _Streams:
    """The segment's Arrow streams while it is read back."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[Feed, Any]] = {}

    def batch(self, part: Part) -> pa.RecordBatch:
        stream = self._open.get(part.stream)
        if stream is None:
            feed = Feed()
            feed.feed(part.body)
            stream = self._open[part.stream] = (feed, pa.ipc.open_stream(pa.PythonFile(feed, mode="r")))
        else:
            stream[0].feed(part.body)
        return stream[1].read_next_batch()

    def forget_below(self, first: int) -> None:
        for number in [n for n in self._open if n < first]:
            del self._open[number]


class SegmentReader:
    """A segment read back, frame by frame; after the iteration `end` and `offset` say how it ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.end = End.CLEAN
        self.size = path.stat().st_size

    def __iter__(self) -> Iterator[Sequence[tuple[str, pa.RecordBatch]]]:
        """The parts of each good frame. Raises: OSError."""
        data = memoryview(self.path.read_bytes())
        if len(data) < _SEGMENT.size or _SEGMENT.unpack_from(data)[0] != _MAGIC:
            self.end = End.TORN if len(data) <= _SEGMENT.size else End.DAMAGED
            return
        self.offset = _SEGMENT.size
        streams = _Streams()
        for offset, payload in frames(data, _SEGMENT.size):
            try:
                first_stream, parts = decode_payload(payload)
                streams.forget_below(first_stream)
                batches = [(part.table, streams.batch(part)) for part in parts]
            except (pa.ArrowException, StopIteration, struct.error, UnicodeDecodeError):
                self.end = End.DAMAGED
                return
            self.offset = offset + HEADER.size + len(payload)
            yield batches
        self.end = how_it_ends(data, self.offset)


def as_appends(parts: Sequence[tuple[str, pa.RecordBatch]]) -> Iterator[Mapping[str, pa.RecordBatch]]:
    """A frame's parts as mappings: a table that came in several schemas is spread over as many."""
    rounds: list[dict[str, pa.RecordBatch]] = []
    for table, batch in parts:
        for tables in rounds:
            if table not in tables:
                tables[table] = batch
                break
        else:
            rounds.append({table: batch})
    yield from rounds
