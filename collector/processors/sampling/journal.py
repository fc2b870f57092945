"""What is acknowledged and not decided, on disk: spans as they come and decisions as they are made, in segments.

A segment goes once all of its spans are decided and those that are kept are in the store. Segments are those of
`obs.columnar.wal`. Not thread-safe.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from obs.columnar.frame import End
from obs.columnar.wal import SegmentReader, SegmentWriter
from obs.errors import StorageFull

log = logging.getLogger("obs.sampling")

SPANS, DECISIONS = "spans", "decisions"

SEGMENT_BYTES = 32 << 20
"""A segment this long is followed by another: it can go as a whole only."""

DECISION = pa.schema([("key", pa.uint64()), ("kept", pa.bool_()), ("weight", pa.float64())])


class Journal:
    """The segments of a folder. Raises: StorageFull."""

    def __init__(self, folder: Path, sync: bool = False) -> None:
        self._folder, self._sync = folder, sync
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise StorageFull(f"cannot make folder {str(folder)!r}: {e.strerror}; free space there") from None
        self._next = max((generation for generation, _ in self._files()), default=0) + 1
        self._writer: SegmentWriter | None = None

    def _files(self) -> list[tuple[int, Path]]:
        """Generations and their files, the oldest first."""
        return sorted((int(path.stem), path) for path in self._folder.glob("*.wal") if path.stem.isdigit())

    def replay(self) -> Iterator[tuple[int, str, pa.RecordBatch]]:
        """(generation, table, batch) of all that is there. What is damaged is told, and what is before it is given."""
        for generation, path in self._files():
            reader = SegmentReader(path)
            for parts in reader:
                for table, batch in parts:
                    yield generation, table, batch
            if reader.end is End.DAMAGED:
                log.error("%s is damaged at byte %d of %d: what follows is lost", path, reader.offset, reader.size)

    def append(self, table: str, batch: pa.RecordBatch) -> int:
        """Write a batch; returns the generation of its segment. Raises: StorageFull."""
        writer = self._current()
        writer.append([(table, batch)], sync=self._sync)
        return writer.generation

    def _current(self) -> SegmentWriter:
        if self._writer is not None and (self._writer.broken or self._writer.size > SEGMENT_BYTES):
            self.sync()
            self.close()
        if self._writer is None:
            path = self._folder / f"{self._next:08d}.wal"
            try:
                self._writer = SegmentWriter(path, self._next)
            except OSError as e:
                raise StorageFull(f"cannot make {str(path)!r}: {e.strerror}; free space in the folder") from None
            self._next += 1
        return self._writer

    def forget_below(self, generation: int | None) -> None:
        """Remove segments older than that; None: all that are whole, and begin another."""
        if generation is None and self._writer is not None and not self._writer.empty:
            self.close()
        keep = self._next if generation is None else generation
        current = self._writer.generation if self._writer else -1
        for found, path in self._files():
            if found < keep and found != current:
                path.unlink(missing_ok=True)

    def sync(self) -> None:
        """fsync what was written; may run beside the others."""
        writer = self._writer
        if writer is not None:
            try:
                writer.sync()
            except OSError as e:
                log.error("cannot sync %s: %s", writer.path, e.strerror)

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
