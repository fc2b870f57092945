"""The trace store: takes batches of spans, answers searches, reads traces. A Store and a Consumer of obs.model.ports.

A span is found as soon as `consume` has returned, before and after its flush and a restart alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from obs.columnar.engine import Engine
from obs.columnar.options import EngineOptions
from obs.columnar.view import View
from obs.errors import QueryLimit
from obs.model.batch import Batch
from obs.model.clock import SYSTEM_CLOCK, Clock
from obs.model.ports import Held, Holder, StoreStats
from obs.sql.views import SqlView
from obs.tracestore import limits
from obs.tracestore.catalog import Operations, join_operations
from obs.tracestore.expressions import Expr
from obs.tracestore.filenames import SPANS
from obs.tracestore.graph import GraphEdge, dependencies
from obs.tracestore.item_keys import item_keys
from obs.tracestore.layout import SpanLayout
from obs.tracestore.linkgraph import LinkGraph, follow, incoming
from obs.tracestore.links import Link
from obs.tracestore.matching import Condition
from obs.tracestore.monitor import MonitorQuery, Series, monitor
from obs.tracestore.opened import Counted, OpenedSources, Snapshot
from obs.tracestore.query import MAX_NS, Found, TraceQuery
from obs.tracestore.reading import Trace, read_trace
from obs.tracestore.search import search
from obs.tracestore.servicecounts import TraceCounts, trace_counts
from obs.tracestore.sqlviews import sql_views
from obs.tracestore.tags import tag_names, tag_values
from obs.tracestore.traceql.answer import Spanset, spansets_of
from obs.tracestore.traceql.metrics.run import Places, measure
from obs.tracestore.traceql.metrics.series import Measured
from obs.tracestore.traceql.metrics.window import Window
from obs.tracestore.traceql.plan import Plan

T = TypeVar("T")


class TraceStore:
    """Spans of one data directory."""

    sql_names = ("spans", "links")

    def __init__(self, folder: Path, options: EngineOptions | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.engine = Engine(SpanLayout(), folder, options or EngineOptions(flush_bytes=limits.FLUSH_BYTES), clock)
        self._opened = OpenedSources()
        self.holder: Holder | None = None  # where spans wait before they come here

    def open(self) -> None:
        """Take the folder and start recovery; spans are taken as soon as this returns."""
        self.engine.open()

    def consume(self, batch: Batch) -> None:
        """Append the spans of a traces batch; durable and visible when it returns. Raises: Overloaded, StorageFull."""
        spans = batch.tables.get(SPANS)
        if spans is not None and spans.num_rows:
            self.engine.append({SPANS: spans})

    def view(self) -> View:
        """A snapshot of head and blocks; the caller closes it."""
        return self.engine.view()

    def _answer(self, ask: Callable[[Snapshot], T]) -> T:
        """What `ask` makes of the blocks and the head as of now; without a block that proves damaged, ask anew."""
        while True:
            with self.view() as view:
                try:
                    return ask(self._opened.snapshot(view))
                except (OSError, pa.ArrowException):
                    if all(block.sound() for block in view.blocks):
                        raise

    def ask(self, question: Callable[[Snapshot], T]) -> T:
        """What an analysis makes of the blocks and the head as of now."""
        return self._answer(question)

    def search(self, query: TraceQuery) -> Found:
        """The traces a query asks for, in order over its whole range. Raises: UserError."""
        return self._answer(lambda snapshot: search(snapshot.sources, snapshot.split_keys(), query))

    def spansets(
        self, plan: Plan, trace_ids: Sequence[bytes], query: TraceQuery, shown: int = limits.MAX_SPANS_PER_SPANSET
    ) -> dict[bytes, list[Spanset]]:
        """Of these traces the spansets that a plan leaves, with the first spans of each in the query's range."""
        return self._answer(lambda snapshot: spansets_of(snapshot.sources, plan, trace_ids, query, shown))

    def measure(self, plan: Plan, window: Window, exemplars: int = 0) -> Measured:
        """The series of a plan with a metric. Raises: QueryLimit."""
        return self._answer(lambda s: measure(Places(s.sources, s.split_keys(), s.repeats), plan, window, exemplars))

    def by_id(self, trace_id: bytes) -> Trace | None:
        """A trace from all places that hold spans of it, or None; `trace_id` as `ids.parse_trace_id` gives it.

        What waits for a sampling decision is asked for first: it may be stored in between, and is then here twice.
        """
        held = self.holder.held(trace_id) if self.holder is not None else Held()
        return self._answer(lambda snapshot: read_trace(snapshot.blocks, snapshot.head_rows, trace_id, held))

    def undecided(self) -> int:
        """How many spans wait for a sampling decision: they are found by their trace's id alone."""
        return 0 if self.holder is None else self.holder.undecided()

    def by_ids(self, trace_ids: Iterable[bytes]) -> list[Trace]:
        """Several traces in full; those not found are left out. Raises: QueryLimit where they have too many spans."""
        found: list[Trace] = []
        spans = 0
        for trace in filter(None, map(self.by_id, trace_ids)):
            spans += trace.summary.spans
            if found and spans > limits.SPANS_PER_ANSWER:
                raise QueryLimit(
                    f"cannot answer with more than {limits.SPANS_PER_ANSWER} spans in one go: {len(found) + 1} of the "
                    "traces have more; ask for fewer traces, or narrow the search"
                )
            found.append(trace)
        return found

    def links(self, trace_id: bytes, hops: int = 1) -> LinkGraph:
        """The graph that links make around a trace, followed both ways."""
        return self._answer(lambda snapshot: follow(snapshot.blocks, snapshot.head_rows, trace_id, hops))

    def links_to(self, trace_id: bytes) -> list[Link]:
        """The links to a trace; one more than `limits.MAX_LINKS` where there are more."""
        return self._answer(lambda snapshot: incoming(snapshot.blocks, snapshot.head_rows, [trace_id]))

    def trace_counts(self, trace_ids: Sequence[bytes]) -> dict[bytes, TraceCounts]:
        """Spans by service and orphans of several traces, by id; those not found are left out."""
        return self._answer(lambda snapshot: trace_counts(snapshot.sources, trace_ids))

    def operations(self) -> Operations:
        """Operations of every service with the kinds of their spans: service → operation → OTLP span kinds."""
        return self._answer(lambda snapshot: join_operations(s.catalog().operations for s in snapshot.sources))

    def services(self) -> list[str]:
        """Names of all services, sorted."""
        return sorted(self.operations())

    def dependencies(self, query: TraceQuery) -> list[GraphEdge]:
        """Calls between services by the spans that a query selects; its limit and order do not matter."""
        rows, edges = self._opened.split_rows, self._opened.edges
        return self._answer(lambda snapshot: dependencies(snapshot.sources, snapshot.split_keys(), rows, edges, query))

    def monitor(self, query: MonitorQuery) -> list[Series]:
        """Calls, errors or latencies of services over time."""
        rows = self._opened.split_rows
        return self._answer(lambda snapshot: monitor(snapshot.sources, snapshot.split_keys(), rows, query))

    def tag_names(
        self, where: Expr | None = None, start_ns: int = -MAX_NS, end_ns: int = MAX_NS
    ) -> dict[str, list[str]]:
        """Keys of attributes by scope (`resource`, `attr`, `scope`), sorted; see `tags`."""
        return self._answer(lambda snapshot: tag_names(snapshot.sources, Condition(where, start_ns, end_ns)))

    def item_keys(self, start_ns: int = -MAX_NS, end_ns: int = MAX_NS) -> dict[str, list[str]]:
        """Keys of attributes of events and links, of a part of the spans; see `item_keys`."""
        return self._answer(lambda snapshot: item_keys(snapshot.sources, start_ns, end_ns))

    def tag_values(self, tag: str, start_ns: int, end_ns: int, where: Expr | None = None) -> list[tuple[str, str]]:
        """(type, value as text) of an attribute or intrinsic field; see `tags`."""
        return self._answer(lambda snapshot: tag_values(snapshot.sources, tag, Condition(where, start_ns, end_ns)))

    @contextmanager
    def sql_views(self) -> Iterator[Sequence[SqlView]]:
        """The views `spans` and `links` for SQL; blocks stay on disk until the context is left."""
        with self.view() as view:
            yield sql_views(view, self._counted(view))

    def _counted(self, view: View) -> Counted:
        """All rows where a block proves damaged: whoever reads it then says so."""
        try:
            return self._opened.snapshot(view).counted()
        except (OSError, pa.ArrowException):
            return Counted({}, view.head(SPANS))

    def flush(self) -> None:
        """Write the head out as blocks and wait for it."""
        self.engine.flush()

    def stats(self) -> StoreStats:
        """Figures as of now."""
        return self.engine.stats()

    def close(self) -> None:
        """Flush the WAL and stop; safe to call twice."""
        self.engine.close()
