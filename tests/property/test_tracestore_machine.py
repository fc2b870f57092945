"""The store against a dict: flush, compact, retain, reopen in any order; every search answers as the dict does."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from examples import examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from span_batches import SpanRow, spans_batch, trace_id

from obs.columnar import head
from obs.columnar.options import EngineOptions
from obs.tracestore.query import TraceQuery
from obs.tracestore.store import TraceStore
from obs.tracestore.traceql import plan
from obs.tracestore.traceql.metrics.window import Window

DAY = 86_400 * 10**9
SERVICES = ("web", "cart", None)
LENGTHS = (20, 0, 5, 30, -2, 19, 21, 31)
"""Of spans: those that queries ask for, and their neighbours."""


def settled(row: SpanRow) -> SpanRow:
    """A row whose end follows from its key: what is sent again may differ in everything else."""
    return replace(row, end=row.start + LENGTHS[(row.span * 7 + row.kind * 13 + row.trace * 5) % len(LENGTHS)])


ROWS = st.builds(
    SpanRow,
    trace=st.integers(1, 4), span=st.integers(1, 4), parent=st.integers(0, 5), service=st.sampled_from(SERVICES),
    name=st.sampled_from(["a", "b"]), start=st.sampled_from([0, 5, 10, 98 * DAY]),
    status=st.integers(0, 2),
    attributes=st.sampled_from([{}, {"k": 1}, {"k": "1"}, {"k": True}, {"k": "x", "b": True}]),
).map(settled)  # fmt: skip


def _k(kind: type, holds: Callable[[Any], bool]) -> Callable[[SpanRow], bool]:
    """Whether a span has `k` of a type that satisfies something."""
    return lambda s: type(s.attributes.get("k")) is kind and holds(s.attributes["k"])


CONDITIONS: dict[str, Callable[[SpanRow], bool]] = {
    '.k = "1"': _k(str, "1".__eq__),
    ".k = 1": _k(int, lambda v: v == 1),
    ".k = true": _k(bool, lambda v: v),
    ".k > 0": _k(int, lambda v: v > 0),
    'span.k != "1"': _k(str, "1".__ne__),
    ".k != 1": _k(int, lambda v: v != 1),
    "!(.k = 1)": lambda s: type(s.attributes.get("k")) is not int,
    '!(.k = "1")': lambda s: s.attributes.get("k") != "1",
    'resource.k = "1"': lambda s: False,
    ".k = nil": lambda s: "k" not in s.attributes,
    ".k != nil": lambda s: "k" in s.attributes,
    '.k =~ "X"': lambda s: False,
    '.k =~ "(?i)X"': _k(str, lambda v: bool(re.fullmatch("x", v))),
    '.k !~ "(?i)X"': _k(str, lambda v: not re.fullmatch("x", v)),
    '.b = "true"': lambda s: False,
    ".b = true": lambda s: s.attributes.get("b") is True,
    '.k = "1" || .b = true': lambda s: s.attributes.get("k") == "1" or "b" in s.attributes,
    'name = "a" && .k = "x"': lambda s: s.name == "a" and s.attributes.get("k") == "x",
    "resource.service.name = nil": lambda s: s.service is None,
    "status != error && .k = 1": lambda s: s.status != 2 and type(s.attributes.get("k")) is int,
}
"""TraceQL's conditions on a span, and what they mean of a row: many differ in a type or in a sign alone."""


class Clock:
    """Stands at 1970 plus a hundred days."""

    def now_ns(self) -> int:
        return 100 * DAY


class Model:
    """Spans by key; queries in the plainest way."""

    def __init__(self) -> None:
        self.spans: dict[tuple[int, int, int, int], SpanRow] = {}

    def add(self, row: SpanRow) -> None:
        self.spans[row.trace, row.span, row.kind, row.start] = row

    def trace(self, trace: int) -> list[SpanRow]:
        return [s for s in self.spans.values() if s.trace == trace]

    def search(self, query: TraceQuery) -> list[int]:
        hits = {s.trace for s in self.spans.values() if self._matches(s, query)}
        value = {t: self._value(t, query.order) for t in hits}
        return sorted(hits, key=lambda t: (-value[t] if query.descending else value[t], t))[: query.limit]

    def _value(self, trace: int, order: str) -> int:
        spans = self.trace(trace)
        start = min(s.start for s in spans)
        return start if order == "start" else max(max(s.end for s in spans) - start, 0)

    def _matches(self, s: SpanRow, q: TraceQuery) -> bool:
        length = max(s.end - s.start, 0)
        return (
            q.start_ns <= s.start <= q.end_ns
            and q.service in (None, s.service)
            and q.operation in (None, s.name)
            and (q.status is None or s.status == 2)
            and (q.min_duration_ns is None or length >= q.min_duration_ns)
            and (q.max_duration_ns is None or length <= q.max_duration_ns)
            and all(str(s.attributes.get(k)).lower() == v for k, v in q.tags.items())
        )


BOUNDS = ("min_duration_ns", "max_duration_ns", "start_ns", "end_ns")
ANY = (None, None, None)
"""Most queries have few conditions: of many, one alone would seldom make the difference."""

QUERIES = st.builds(
    TraceQuery,
    service=st.sampled_from([*ANY, "web", "cart", "none"]), operation=st.sampled_from([*ANY, "a"]),
    tags=st.sampled_from([{}, {}, {}, {}, {"k": "1"}, {"k": "x"}, {"b": "true"}, {"b": "true", "k": "x"}]),
    min_duration_ns=st.sampled_from([None, 0, 20]), max_duration_ns=st.sampled_from([None, 0, 30]),
    start_ns=st.sampled_from([0, 0, 5, 6]), end_ns=st.sampled_from([5, 10, 100 * DAY, 100 * DAY]),
    status=st.sampled_from([*ANY, "error"]), limit=st.integers(1, 5), order=st.sampled_from(["start", "duration"]),
    descending=st.booleans(),
)  # fmt: skip


class TraceMachine(RuleBasedStateMachine):
    """See the module."""

    @initialize(many_runs=st.booleans())
    def begin(self, many_runs: bool) -> None:
        self.patched = pytest.MonkeyPatch()
        if many_runs:
            self.patched.setattr(head, "HEAD_TAIL_ROWS", 2)
            self.patched.setattr(head, "HEAD_RUN_ROWS", 8)
        self.folder = tempfile.TemporaryDirectory()
        self.model = Model()
        self.open()

    def open(self, retention_age_s: float | None = None) -> None:
        options = EngineOptions(compact_interval_s=3600, retention_age_s=retention_age_s)
        self.store = TraceStore(Path(self.folder.name) / "traces", options, Clock())
        self.store.open()
        assert self.store.engine.wait_recovered()

    @rule(rows=st.lists(ROWS, min_size=1, max_size=6))
    def consume(self, rows: list[SpanRow]) -> None:
        self.store.consume(spans_batch(*rows))
        for row in rows:
            self.model.add(row)

    @rule()
    def flush(self) -> None:
        self.store.flush()

    @rule()
    def compact(self) -> None:
        self.store.engine.compact()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.open()

    @rule(query=QUERIES)
    def searches(self, query: TraceQuery) -> None:
        self.search(query)

    def search(self, query: TraceQuery) -> None:
        found = [int.from_bytes(t.trace_id, "big") for t in self.store.search(query).traces]
        assert found == self.model.search(query)

    @rule(which=st.integers(0, 63), bound=st.sampled_from(BOUNDS), off=st.sampled_from([0, 0, 1, -1]))
    def search_at_a_bound(self, which: int, bound: str, off: int) -> None:
        """For spans as long, or that start, exactly where one of the stored does, or one ns beside it."""
        spans = sorted(self.model.spans.items())
        if not spans:
            return
        _, row = spans[which % len(spans)]
        value = max(row.end - row.start, 0) if bound.endswith("duration_ns") else row.start
        self.search(replace(TraceQuery(limit=5), **{bound: max(value + off, 0)}))  # type: ignore[arg-type]

    @rule(
        text=st.sampled_from(sorted(CONDITIONS)), query=QUERIES, least=st.sampled_from([0, 0, 1, 2]),
        change=st.sampled_from(["", "", "flush", "compact"]),
    )  # fmt: skip
    def ask_in_traceql(self, text: str, query: TraceQuery, least: int, change: str) -> None:
        """Twice: what was remembered of blocks answers the second time, also where they changed in between."""
        asked = plan(f"{{ {text} }}" + (f" | count() >= {least}" if least else ""))
        asked_in = TraceQuery(start_ns=query.start_ns, end_ns=query.end_ns, limit=5)
        self.traceql(asked.asked(asked_in), text, least)
        if change:
            self.store.flush()
        if change == "compact":
            self.store.engine.compact()
        self.traceql(asked.asked(asked_in), text, least)
        self.traceql(asked.asked(TraceQuery(limit=5)), text, least)

    def traceql(self, query: TraceQuery, text: str, least: int) -> None:
        found = [int.from_bytes(t.trace_id, "big") for t in self.store.search(query).traces]
        assert set(found) == {t for t in (1, 2, 3, 4) if self.holds(t, text, query, max(least, 1))}
        assert len(found) == len(set(found))

    def holds(self, trace: int, text: str, query: TraceQuery, least: int) -> bool:
        """Whether enough spans of a trace satisfy a condition, and one of these starts in the range."""
        hits = [s for s in self.model.trace(trace) if CONDITIONS[text](s)]
        return len(hits) >= least and any(query.start_ns <= s.start <= query.end_ns for s in hits)

    @rule(text=st.sampled_from(sorted(CONDITIONS)), bounds=st.sampled_from([(0, 100 * DAY), (5, 10), (5, 5), (6, 9)]))
    def measure(self, text: str, bounds: tuple[int, int]) -> None:
        """A metric counts each span once, wherever its trace stands."""
        found = self.store.measure(plan(f"{{ {text} }} | count_over_time()"), Window.whole(*bounds))
        in_range = (s for s in self.model.spans.values() if bounds[0] <= s.start <= bounds[1])
        counted = sum(v for series in found.series for v in series.values if v == v)
        assert counted == sum(map(CONDITIONS[text], in_range))

    @rule()
    def retain(self) -> None:
        """What is older than sixty days goes, once it is in blocks."""
        self.store.flush()
        self.store.close()
        self.open(60 * 86_400)
        self.store.engine.retain()
        self.reopen()
        self.model.spans = {key: s for key, s in self.model.spans.items() if s.start >= 40 * DAY}

    @rule(size=st.integers(1, 2), order=st.sampled_from(["start", "duration"]))
    def pages(self, size: int, order: str) -> None:
        found, after = [], None
        while True:
            page = self.store.search(TraceQuery(limit=size, after=after, order=order))  # type: ignore[arg-type]
            found += [int.from_bytes(t.trace_id, "big") for t in page.traces]
            after = page.next
            if after is None:
                break
        assert found == self.model.search(TraceQuery(order=order))  # type: ignore[arg-type]

    @rule()
    def sql_counts_a_span_once(self) -> None:
        with self.store.sql_views() as views, duckdb.connect() as connection:
            for name, table in views[0].arrow.items():
                connection.register(name, table)
            counted = connection.execute(f"SELECT count(*) FROM ({views[0].sql})").fetchone()
        assert counted == (len(self.model.spans),)

    @rule(query=QUERIES, change=st.sampled_from(["", "flush", "compact"]))
    def graphs(self, query: TraceQuery, change: str) -> None:
        """Twice, as in TraceQL."""
        self.graph(query)
        if change:
            self.store.flush()
        if change == "compact":
            self.store.engine.compact()
        self.graph(query)
        self.graph(replace(query, start_ns=0, end_ns=100 * DAY))

    def graph(self, query: TraceQuery) -> None:
        """The graph is that of the traces as they are read."""
        wanted: Counter[tuple[str, str]] = Counter()
        for number in (1, 2, 3, 4):
            trace = self.store.by_id(trace_id(number))
            for row in [] if trace is None else trace.table.to_pylist():
                wanted.update(self.called(number, trace.table.to_pylist(), row, query))
        found = {(e.parent, e.child): e.calls for e in self.store.dependencies(query)}
        assert found == dict(wanted)

    def called(self, trace: int, rows: list[dict[str, Any]], row: dict[str, Any], query: TraceQuery) -> list[Any]:
        if row["parent_position"] < 0:
            return []
        key = trace, int.from_bytes(row["span_id"], "big"), row["kind"], row["start_ns"]
        caller, called = (
            r.get("resource.service.name:str") or "unknown_service" for r in (rows[row["parent_position"]], row)
        )
        counts = caller != called and self.model._matches(self.model.spans[key], query)
        return [(caller, called)] if counts else []

    @invariant()
    def traces_are_the_same(self) -> None:
        if not hasattr(self, "store"):
            return
        for trace in (1, 2, 3, 4):
            wanted = self.model.trace(trace)
            found = self.store.by_id(trace_id(trace))
            rows = [] if found is None else found.table.to_pylist()
            keys = ("start_ns", "end_ns", "name", "status_code")
            assert sorted(tuple(r[k] for k in keys) for r in rows) == sorted(
                (s.start, s.end, s.name, s.status) for s in wanted
            )
        services = {s.service or "unknown_service" for s in self.model.spans.values()}
        assert set(self.store.services()) >= services  # a block names what a later one overwrote

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()
            self.patched.undo()


TraceMachine.TestCase.settings = examples(40, stateful_step_count=20)
TestTraceMachine = TraceMachine.TestCase
