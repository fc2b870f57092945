"""The trace store: takes batches of spans, answers searches, reads traces. A Store and a Consumer of obs.model.ports.

A span is found as soon as `consume` has returned, before and after its flush and a restart alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from obs.columnar.engine import Engine
from obs.columnar.options import EngineOptions
from obs.columnar.view import View
from obs.model.batch import Batch
from obs.model.clock import SYSTEM_CLOCK, Clock
from obs.model.ports import StoreStats
from obs.model.schema import SPANS as SPANS_SCHEMA
from obs.sql.views import SqlView, attribute_view
from obs.tracestore.catalog import Operations, join_operations
from obs.tracestore.filenames import SPANS
from obs.tracestore.graph import GraphEdge, dependencies
from obs.tracestore.layout import SpanLayout
from obs.tracestore.names import COVERED, DAG_SCHEMA
from obs.tracestore.opened import OpenedSources, Snapshot
from obs.tracestore.query import Found, TraceQuery
from obs.tracestore.reading import Trace, read_trace
from obs.tracestore.search import search
from obs.tracestore.tags import tag_names, tag_values

_SQL_SCHEMA = pa.schema([*SPANS_SCHEMA, *(f for f in DAG_SCHEMA if f.name != COVERED)])


class TraceStore:
    """Spans of one data directory."""

    def __init__(self, folder: Path, options: EngineOptions | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.engine = Engine(SpanLayout(), folder, options or EngineOptions(), clock)
        self._opened = OpenedSources()

    def open(self) -> None:
        """Take the folder and start recovery; spans are taken as soon as this returns."""
        self.engine.open()

    def consume(self, batch: Batch) -> None:
        """Append the spans of a traces batch; durable and visible when it returns. Raises: Overloaded, StorageFull."""
        spans = batch.tables.get(SPANS)
        if spans is not None and spans.num_rows:
            self.engine.append({SPANS: spans})

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The blocks and the head as of now, opened; valid until the context is left."""
        with self.view() as view:
            yield self._opened.snapshot(view)

    def view(self) -> View:
        """A snapshot of head and blocks; the caller closes it."""
        return self.engine.view()

    def search(self, query: TraceQuery) -> Found:
        """The traces a query asks for, in order over its whole range. Raises: UserError."""
        with self.snapshot() as snapshot:
            return search(snapshot.sources, snapshot.split_keys(), query)

    def by_id(self, trace_id: bytes) -> Trace | None:
        """A trace from all places that hold spans of it, or None; `trace_id` as `ids.parse_trace_id` gives it."""
        with self.snapshot() as snapshot:
            return read_trace(snapshot.blocks, snapshot.head_rows, trace_id)

    def operations(self) -> Operations:
        """Operations of every service with the kinds of their spans: service → operation → OTLP span kinds."""
        with self.snapshot() as snapshot:
            return join_operations(source.catalog().operations for source in snapshot.sources)

    def services(self) -> list[str]:
        """Names of all services, sorted."""
        return sorted(self.operations())

    def dependencies(self, query: TraceQuery) -> list[GraphEdge]:
        """Calls between services by the spans that a query selects; its limit and order do not matter."""
        with self.snapshot() as snapshot:
            return dependencies(snapshot.sources, snapshot.split_keys(), self._opened.split_rows, query)

    def tag_names(self) -> dict[str, list[str]]:
        """Keys of attributes by scope (`resource`, `attr`, `scope`), sorted."""
        with self.snapshot() as snapshot:
            return tag_names(snapshot.sources)

    def tag_values(self, tag: str, start_ns: int, end_ns: int) -> list[tuple[str, str]]:
        """(type, value as text) of an attribute or intrinsic field in spans of blocks that touch the range."""
        with self.snapshot() as snapshot:
            return tag_values(snapshot.sources, tag, start_ns, end_ns)

    @contextmanager
    def sql_views(self) -> Iterator[Sequence[SqlView]]:
        """The view `spans` for SQL; blocks stay on disk until the context is left."""
        with self.view() as view:
            yield [attribute_view(view, SPANS, "spans", _SQL_SCHEMA)]

    def flush(self) -> None:
        """Write the head out as blocks and wait for it."""
        self.engine.flush()

    def stats(self) -> StoreStats:
        """Figures as of now."""
        return self.engine.stats()

    def close(self) -> None:
        """Flush the WAL and stop; safe to call twice."""
        self.engine.close()
