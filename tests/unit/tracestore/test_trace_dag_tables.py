"""Who called whom, by tables: every fault a trace can have."""

from __future__ import annotations

import numpy as np
import pytest
from span_batches import SpanRow, spans_table

from obs.tracestore import dag
from obs.tracestore.dag_plain import trace_dag
from obs.tracestore.spancolumns import span_columns, trace_starts, written_order
from obs.tracestore.summaries import root_of, summarize

# (span, parent, kind, start, end) … → parent positions, depths, self times
CASES = {
    "a chain": ([(1, 0, 1, 0, 10), (2, 1, 1, 2, 8), (3, 2, 1, 3, 5)], [-1, 0, 1], [0, 1, 2], [4, 4, 2]),
    "two children at once count once": (
        [(1, 0, 1, 0, 10), (2, 1, 1, 2, 6), (3, 1, 1, 4, 8)], [-1, 0, 0], [0, 1, 1], [4, 4, 4],
    ),
    "a missing parent": ([(1, 9, 1, 0, 10), (2, 1, 1, 1, 2)], [-1, 0], [0, 1], [9, 1]),
    "its own parent": ([(1, 1, 1, 0, 10)], [-1], [0], [10]),
    "a cycle of two": ([(1, 2, 1, 0, 10), (2, 1, 1, 1, 5)], [-1, 0], [0, 1], [6, 4]),
    "a cycle with a tail": ([(1, 2, 1, 0, 4), (2, 3, 1, 1, 5), (3, 2, 1, 2, 6)], [1, -1, 1], [1, 0, 1], [4, 0, 4]),
    "two roots": ([(1, 0, 1, 0, 4), (2, 0, 1, 5, 9)], [-1, -1], [0, 0], [4, 4]),
    "a child that starts before its parent": ([(2, 1, 1, 0, 5), (1, 0, 1, 2, 8)], [1, -1], [1, 0], [5, 3]),
    "a child that outlives its parent": ([(1, 0, 1, 0, 4), (2, 1, 1, 2, 9)], [-1, 0], [0, 1], [2, 7]),
    "an end before its start": ([(1, 0, 1, 5, 3), (2, 1, 1, 6, 2)], [-1, 0], [0, 1], [0, 0]),
    "an id that a client and a server share": (
        [(1, 0, 1, 0, 20), (2, 1, 3, 1, 10), (2, 1, 2, 2, 9), (3, 2, 1, 3, 4)], [-1, 0, 1, 2], [0, 1, 2, 3],
        [11, 2, 6, 1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_faults(name: str) -> None:
    spans, parents, depths, self_times = CASES[name]
    up, left, right, depth, covered = trace_dag(*zip(*spans, strict=True))
    assert (up, depth) == (parents, depths)
    assert [max(0, e - s) - c for (*_, s, e), c in zip(spans, covered, strict=True)] == self_times
    assert sorted(left + right) == list(range(1, 2 * len(spans) + 1))


@pytest.mark.parametrize("shape", ["chain", "flat", "one cycle", "same id"])
def test_a_trace_of_200_000_spans_is_no_worse_than_many_small_ones(shape: str) -> None:
    n = 200_000
    span = np.ones(n, np.uint64) if shape == "same id" else np.arange(1, n + 1, dtype=np.uint64)
    parent = {
        "chain": np.arange(n), "flat": np.minimum(np.arange(n), 1), "one cycle": np.roll(np.arange(1, n + 1), 1),
        "same id": np.ones(n),
    }[shape].astype(np.uint64)  # fmt: skip
    up, left, right, depth, _ = trace_dag(span.tolist(), parent.tolist(), [1] * n, list(range(n)), list(range(n)))
    assert sorted(left + right)[-1] == 2 * n
    assert max(depth) == {"chain": n - 1, "flat": 1, "one cycle": n - 1, "same id": 0}[shape]
    assert up[0] == -1


def test_rows_sent_again_count_once_and_the_last_is_kept() -> None:
    rows = [
        SpanRow(1, 1, name="first"), SpanRow(2, 1), SpanRow(1, 1, name="again"), SpanRow(1, 1, start=5),
        SpanRow(1, 1, kind=2),
    ]  # fmt: skip
    columns = span_columns(spans_table(rows))
    order = written_order(columns)
    assert order.tolist() == [2, 4, 3, 1]
    assert trace_starts(columns.take(order)).tolist() == [0, 3, 4]


def test_summaries() -> None:
    rows = [
        SpanRow(1, 2, parent=1, service="cart", start=3, end=30, status=2, name="add"),
        SpanRow(1, 1, service="web", start=2, end=9, name="GET /"),
        SpanRow(2, 7, parent=6, service=None, start=5, end=6, name="late"),
    ]
    columns = span_columns(spans_table(rows))
    columns = columns.take(written_order(columns))
    starts = trace_starts(columns)
    traces = summarize(columns, starts, dag.build(columns, starts))
    assert [root_of(traces, i) for i in (0, 1)] == [("web", "GET /"), ("", "late")]
    assert traces.duration.tolist() == [28, 1]
    assert traces.longest.tolist() == [27, 1]
    assert (traces.errors.tolist(), traces.missing.tolist(), traces.rooted.tolist()) == ([1, 0], [0, 1], [True, False])
    assert [traces.services_of(i) for i in (0, 1)] == [["cart", "web"], []]
    assert traces.with_service("cart").tolist() == [True, False]
