"""Group commit: appends that arrive together become one WAL frame and one write.

Whoever comes first writes for all that wait; each append returns once its rows are in the WAL and visible.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

import pyarrow as pa

from obs.columnar.filenames import segment_path
from obs.columnar.joining import Tables, cast_column, joined
from obs.columnar.limits import JOIN_APPENDS, JOIN_BYTES, MAX_COLUMNS_KNOWN, RETRY_AFTER_S
from obs.columnar.state import EngineState
from obs.columnar.wal import SegmentWriter
from obs.errors import Overloaded, StorageFull, Unavailable

log = logging.getLogger(__name__)


class _Pending:
    """One append on its way: `done` once it is stored or failed."""

    __slots__ = ("done", "error", "nbytes", "tables")

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.nbytes = sum(batch.get_total_buffer_size() for batch in tables.values())
        self.done = False
        self.error: BaseException | None = None


class Appender:
    """Owns the WAL segment that is written to, and the generation counter."""

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._waiting: deque[_Pending] = deque()
        self._lock = threading.Lock()  # held while a frame is written, and for a rotation
        self._syncing = threading.Lock()
        self._segment: SegmentWriter | None = None
        self._old_segments: deque[SegmentWriter] = deque()  # written whole, perhaps not yet synced
        self._generation = 0
        self._table_names = frozenset(t.name for t in state.layout.tables)
        self._time_columns = {t.name: t.time_column for t in state.layout.tables if t.time_column}
        self._types: dict[tuple[str, str], pa.DataType] = {}  # of (table, column), as first seen
        self._schemas: dict[str, pa.Schema] = {}  # of each table the last that was found right

    def open(self, generation: int) -> None:
        """Begin with segment `generation`. Raises: OSError."""
        with self._lock:
            self._segment = SegmentWriter(segment_path(self._state.folder, generation), generation)
            self._generation = generation
            self._state.active = self._state.new_head(generation)

    def append(self, tables: Tables) -> None:
        """Raises: Overloaded, StorageFull, what the layout's `on_append` raises; nothing is then stored."""
        self._admit()
        pending = _Pending({name: batch for name, batch in tables.items() if batch.num_rows})
        if not pending.tables:
            return
        self._waiting.append(pending)
        with self._lock:
            while not pending.done:
                self._commit(self._take())
        if pending.error is not None:
            raise pending.error

    def _admit(self) -> None:
        state = self._state
        if self._segment is None:
            raise self._closed()
        if state.head_bytes >= state.options.memory_limit_bytes:
            state.counters.appends_refused += 1
            raise Overloaded(
                f"cannot append to {state.layout.name!r}: {state.head_bytes >> 20} MB wait to be flushed, the limit "
                f"is {state.options.memory_limit_bytes >> 20} MB; send again later",
                RETRY_AFTER_S,
            )

    def _closed(self) -> Unavailable:
        return Unavailable(f"cannot write to {self._state.layout.name!r}: it is closed; send again once obs is up")

    def _take(self) -> list[_Pending]:
        """The appends that wait, up to the limits of one frame."""
        group = [self._waiting.popleft()]
        nbytes = group[0].nbytes
        while self._waiting and len(group) < JOIN_APPENDS and nbytes < JOIN_BYTES:
            group.append(self._waiting.popleft())
            nbytes += group[-1].nbytes
        return group

    def _commit(self, group: Sequence[_Pending]) -> None:
        """Write one group: WAL, then head. Every member is done when this returns."""
        try:
            segment = self._whole_segment()
            ready = self._prepare(group)
            if ready:
                self._write(segment, [tables for _, tables in ready])
        except BaseException as e:
            for pending in group:
                pending.error = pending.error or e
            self._generation += 1  # the layout may believe that this segment holds what was not written
            if isinstance(e, StorageFull):
                self._state.counters.wal_errors += 1
            if not isinstance(e, Exception):
                raise
        finally:
            for pending in group:
                pending.done = True
                pending.tables = {}
        self._rotate_if_due()

    def _prepare(self, group: Sequence[_Pending]) -> list[tuple[_Pending, Tables]]:
        """What the layout makes of each append; those it refuses keep its error."""
        ready: list[tuple[_Pending, Tables]] = []
        for pending in group:
            try:
                tables = self._state.layout.on_append(self._generation, pending.tables)
                ready.append((pending, {name: self._checked(name, batch) for name, batch in tables.items()}))
            except Exception as e:
                pending.error = e
                self._generation += 1  # as where nothing could be written: the layout may have noted this append
        return ready

    def _checked(self, name: str, batch: pa.RecordBatch) -> pa.RecordBatch:
        """`batch`, each column in the type it had before. Raises: ValueError for what no flush could write."""
        last = self._schemas.get(name)
        if last is not None and batch.schema.equals(last):
            return batch
        if name not in self._table_names:
            raise ValueError(f"cannot append table {name!r}: {self._state.layout.name!r} has no such table")
        types = {(name, field.name): field.type for field in batch.schema}
        column = self._time_columns.get(name)
        if column is not None and types.get((name, column)) != pa.int64():
            raise ValueError(f"cannot append table {name!r}: column {column!r} is missing or not int64")
        if len(self._types) > MAX_COLUMNS_KNOWN:
            self._types.clear()
            self._schemas.clear()
        for key, type_ in types.items():
            known = self._types.setdefault(key, type_)
            if known != type_:
                batch = cast_column(name, batch, key[1], known)
        self._schemas[name] = batch.schema
        return batch

    def _whole_segment(self) -> SegmentWriter:
        """The segment to write to; a new one where the last is broken. Raises: Unavailable, StorageFull."""
        if self._segment is not None and self._segment.broken and not self._rotate():
            raise StorageFull(
                f"cannot write WAL {str(self._segment.path)!r}: no new segment can be made; free space in the folder"
            )
        if self._segment is None:
            raise self._closed()
        return self._segment

    def _write(self, segment: SegmentWriter, group: Sequence[Tables]) -> None:
        parts = joined(group)
        counters = self._state.counters
        always = self._state.options.fsync == "always"
        counters.wal_bytes += segment.append(parts, sync=always)
        counters.wal_frames += 1
        counters.fsyncs += always
        counters.appends += len(group)
        counters.appends_joined += len(group) - 1
        self._state.add_rows(parts)

    def _rotate_if_due(self) -> None:
        head, options = self._state.active, self._state.options
        rows = head.rows(self._state.layout.tables[0].name)
        if rows >= options.flush_rows or head.nbytes >= options.flush_bytes:
            self._rotate()

    def rotate_if_due(self, max_age_s: float) -> None:
        """Freeze the head where it is over a limit or its first row is `max_age_s` old."""
        with self._lock:
            first = self._state.active.first_append_s
            if first is not None and time.monotonic() - first >= max_age_s:
                self._rotate()
            else:
                self._rotate_if_due()

    def rotate(self) -> int:
        """Freeze the head where it has rows; returns the youngest generation that is not appended to any more.

        Raises: StorageFull where no new segment can be made, Unavailable after `close`.
        """
        with self._lock:
            if self._segment is None:
                raise self._closed()
            if not self._state.active.empty and not self._rotate():
                raise StorageFull(f"cannot begin a WAL segment in {str(self._state.folder)!r}; free space in it")
            return self._state.active.low - 1

    def _rotate(self) -> bool:
        """A new segment and head; False (and all goes on with the old ones) where none can be made."""
        if self._segment is None:
            return False
        generation = self._generation + 1
        try:
            segment = SegmentWriter(segment_path(self._state.folder, generation), generation)
        except OSError as e:
            log.warning("cannot begin WAL segment %d in %r: %s", generation, str(self._state.folder), e.strerror)
            return False
        if self._state.options.fsync == "always":
            self._segment.close()  # all that was acknowledged is synced, and no timer comes by
        else:
            self._old_segments.append(self._segment)
        self._segment, self._generation = segment, generation
        self._state.freeze_active(generation)
        self._state.counters.rotations += 1
        return True

    def sync(self) -> None:
        """fsync what was written; never waits for appends. Raises: OSError."""
        with self._syncing:
            while self._old_segments:
                self._sync_old(self._old_segments.popleft())
            segment = self._segment
            if segment is not None:
                self._state.counters.fsyncs += segment.sync()

    def _sync_old(self, segment: SegmentWriter) -> None:
        """Its rows are on their way to blocks, which are synced by themselves: nothing waits where this fails."""
        try:
            self._state.counters.fsyncs += segment.sync()
        except OSError as e:
            log.error(
                "cannot sync WAL %r: %s; its rows are safe once they are in blocks", str(segment.path), e.strerror
            )
        finally:
            segment.close()

    def close(self) -> None:
        """No append is taken from now on; what was written is synced."""
        with self._lock:
            try:
                self.sync()
            except OSError as e:
                log.error("cannot sync WAL in %r: %s", str(self._state.folder), e.strerror)
            segment, self._segment = self._segment, None
            if segment is not None:
                segment.close()
                if segment.empty:
                    segment.path.unlink(missing_ok=True)
