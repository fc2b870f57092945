"""The log store: takes batches of records, gives units of rows to read. A Store and a Consumer of obs.model.ports.

A record is found as soon as `consume` has returned, before and after its flush alike.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from obs.columnar.engine import Engine
from obs.columnar.options import EngineOptions
from obs.columnar.view import View
from obs.logstore import limits
from obs.logstore.blockindex import Block, BlockIndex, BlockIndexes
from obs.logstore.deletes import Hide, encode, hiding, plan_delete
from obs.logstore.filenames import RECORDS
from obs.logstore.follow import Follower
from obs.logstore.layout import LogLayout, with_stream_ids
from obs.logstore.names import STREAM_ID
from obs.logstore.selection import ALL_TIME, Selection, Stats, StreamFilter, Unit, block_units, units
from obs.logstore.streams import StreamMapper
from obs.model.batch import Batch
from obs.model.clock import SYSTEM_CLOCK, Clock
from obs.model.labels import Labels, Matcher
from obs.model.ports import StoreStats
from obs.model.resource import NAMING_ATTRIBUTES
from obs.model.schema import LOGS
from obs.sql.views import SqlView, attribute_view

_STREAM_FIELD = pa.field(STREAM_ID, pa.uint64(), nullable=False)


class LogStore:
    """Log records of one data directory."""

    sql_names = ("logs",)

    def __init__(
        self,
        folder: Path,
        options: EngineOptions | None = None,
        clock: Clock = SYSTEM_CLOCK,
        stream_attributes: Sequence[str] = NAMING_ATTRIBUTES,
    ) -> None:
        self.streams = StreamMapper(stream_attributes)
        self.clock = clock
        self._indexes = BlockIndexes()
        self.engine = Engine(LogLayout(self.streams, self._indexes), folder, options or EngineOptions(), clock)
        self.engine.on_removal(self._indexes.let_go)
        self._followers: list[Follower] = []
        self._in_flight: set[object] = set()  # batches that may be found and are not offered yet
        self._offered = threading.Condition()

    def open(self) -> None:
        """Take the folder and start recovery; records are taken as soon as this returns."""
        self.engine.open()

    def consume(self, batch: Batch) -> None:
        """Append the records of a logs batch; durable and visible when it returns. Raises: Overloaded, StorageFull."""
        records = batch.tables.get(RECORDS)
        if records is not None and records.num_rows:
            whole = self.with_stream_ids(records)
            mark = object()
            self._in_flight.add(mark)
            try:
                self.engine.append({RECORDS: whole})
                for follower in tuple(self._followers):
                    follower.offer(whole)
            finally:
                with self._offered:
                    self._in_flight.discard(mark)
                    self._offered.notify_all()

    def settle(self) -> None:
        """Wait until what is taken in at this moment was offered to all who follow, so that all a query found was."""
        with self._offered:
            waiting = self._in_flight.copy()
            self._offered.wait_for(lambda: waiting.isdisjoint(self._in_flight), limits.SETTLE_S)

    def with_stream_ids(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with its `stream_id` column in front."""
        arrays = [self.streams.ids(records), *records.columns]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([_STREAM_FIELD, *records.schema]))

    @contextmanager
    def read(self, selection: Selection, stats: Stats) -> Iterator[list[Unit]]:
        """The units that may hold rows of a selection, valid until the context is left."""
        with self.view() as view:
            head = self._head(view)
            yield units(head, view.blocks, self._indexes, self.streams.labels, selection, stats, self._hiding)

    def index_of(self, block: Block) -> BlockIndex | None:
        """What is known of a block of a view; None where it holds no records."""
        return self._indexes.get(block)

    def units_of(self, block: Block, selection: Selection) -> list[Unit]:
        """The row groups of one block of a view that may hold rows of a selection."""
        index = self._indexes.get(block)
        streams = StreamFilter(selection.matchers)
        return [] if index is None else block_units(index, selection, streams, Stats(), self._hiding(block))

    def _hiding(self, block: Block) -> Hide | None:
        return hiding(block.tombstones, self.streams.label_names) if block.tombstones else None

    def delete(self, query: str, start_ns: int = ALL_TIME[0], end_ns: int = ALL_TIME[1]) -> None:
        """Hide the records of start_ns..end_ns that a log query lists and that were taken in before this.

        Durable when it returns; `clean` takes them off the disk. Raises: QueryError, Unavailable, StorageFull.
        """
        plan_delete(query, self.streams.label_names)
        self.engine.delete(encode(query, start_ns, end_ns), start_ns, end_ns)

    def clean(self) -> int:
        """Write the blocks anew that have deleted records; returns their number. Raises: Unavailable, StorageFull."""
        return self.engine.clean()

    @contextmanager
    def follow(self) -> Iterator[Follower]:
        """Batches taken in from now on, until the context is left."""
        follower = Follower()
        self._followers.append(follower)
        try:
            yield follower
        finally:
            self._followers.remove(follower)

    def _head(self, view: View) -> pa.Table:
        """The head's records with stream ids that have labels: what was read back may be older than our attributes."""
        head = view.head(RECORDS)
        return with_stream_ids(head, self.streams) if self.streams.renamed and head.num_rows else head

    def view(self) -> View:
        """A snapshot of head and blocks; the caller closes it."""
        return self.engine.view()

    def stream_labels(self, matchers: Sequence[Matcher], start_ns: int, end_ns: int) -> list[Labels]:
        """The streams with records in start_ns <= time < end_ns that satisfy every matcher, sorted.

        A stream of the head counts whatever its times are: it is being written.
        """
        wanted = StreamFilter(matchers)
        found: set[Labels] = set()
        with self.view() as view:
            head = self._head(view)
            if head.num_rows:
                ids = head.column(STREAM_ID).unique().to_pylist()
                found.update(_chosen([(i, self.streams.labels(i)) for i in ids], wanted))
            for block in view.blocks:
                index = self._indexes.get(block)
                if index is not None and block.meta.max_ns >= start_ns and block.meta.min_ns < end_ns:
                    held = (index.stream_max >= start_ns) & (index.stream_min < end_ns)
                    found.update(
                        _chosen([s for s, in_time in zip(index.streams.streams, held, strict=True) if in_time], wanted)
                    )
        return sorted(found)

    @contextmanager
    def sql_views(self) -> Iterator[Sequence[SqlView]]:
        """The view `logs` for SQL; blocks stay on disk until the context is left. Deleted records are cleaned away."""
        with self.view() as view:
            hidden = any(block.tombstones for block in view.blocks)
        if hidden:
            self.clean()
        with self.view() as view:
            yield [attribute_view(view, RECORDS, "logs", LOGS)]

    def flush(self) -> None:
        """Write the head out as blocks and wait for it."""
        self.engine.flush()

    def stats(self) -> StoreStats:
        """Figures as of now."""
        return self.engine.stats()

    def close(self) -> None:
        """Flush the WAL and stop; safe to call twice."""
        self.engine.close()


def _chosen(streams: list[tuple[int, Labels]], wanted: StreamFilter) -> list[Labels]:
    mask = wanted.mask(streams)
    return [labels for (_, labels), hit in zip(streams, mask, strict=True) if hit]
