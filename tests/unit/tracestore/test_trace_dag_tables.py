"""Who called whom, by tables: every fault a trace can have."""

from __future__ import annotations

import numpy as np
import pytest
from span_batches import SpanRow, spans_table

from obs.tracestore import dag
from obs.tracestore.dag_plain import trace_dag
from obs.tracestore.spancolumns import span_columns, trace_starts, written_order
from obs.tracestore.summaries import root_of, summarize
from obs.tracestore.times_plain import trace_times

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
    span, parent, kind, start, end = zip(*spans, strict=True)
    up, left, right, depth = trace_dag(span, parent, kind)
    covered, _, _ = trace_times(up, left, kind, [0] * len(span), start, end)
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
    up, left, right, depth = trace_dag(span.tolist(), parent.tolist(), [1] * n)
    assert sorted(left + right)[-1] == 2 * n
    assert max(depth) == {"chain": n - 1, "flat": 1, "one cycle": n - 1, "same id": 0}[shape]
    covered, skew, off_path = trace_times(up, left, [1] * n, [0] * n, list(range(n)), [n] * n)
    assert (max(covered), any(skew)) == (0 if shape == "same id" else n - 1, False)
    assert sum(n - i - c - o for i, (c, o) in enumerate(zip(covered, off_path, strict=True))) == (
        1 if shape == "same id" else n
    )
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
    for _ in range(2):  # found, then remembered
        assert [traces.with_service(s).tolist() for s in ("cart", "none")] == [[True, False], [False, False]]


# (span, parent, kind, clock, start, end) … → skews, critical times
TIMES = {
    "one after the other": (
        [(1, 0, 1, 0, 0, 10), (2, 1, 1, 0, 1, 4), (3, 1, 1, 0, 5, 9)], [0, 0, 0], [3, 3, 4],
    ),
    "the later one is waited for": (
        [(1, 0, 1, 0, 0, 10), (2, 1, 1, 0, 1, 7), (3, 1, 1, 0, 3, 9)], [0, 0, 0], [4, 0, 6],
    ),
    "a child that outlives its parent": ([(1, 0, 1, 0, 0, 10), (2, 1, 1, 0, 6, 14)], [0, 0], [6, 4]),
    "another clock, behind": ([(2, 1, 2, 1, 0, 4), (1, 0, 3, 0, 10, 20)], [13, 0], [4, 6]),
    "another clock, ahead, and its own child": (
        [(1, 0, 3, 0, 0, 10), (2, 1, 2, 1, 50, 56), (3, 2, 1, 1, 51, 53)], [0, -48, -48], [4, 4, 2],
    ),
    "another clock, longer than its parent": ([(2, 1, 2, 1, 5, 40), (1, 0, 3, 0, 8, 20)], [3, 0], [12, 0]),
    "another clock that fits": ([(1, 0, 3, 0, 0, 10), (2, 1, 2, 1, 3, 8)], [0, 0], [5, 5]),
    "a consumer may come later": ([(1, 0, 4, 0, 0, 10), (2, 1, 5, 1, 50, 60)], [0, 0], [10, 0]),
    "two tops": ([(1, 0, 1, 0, 0, 5), (2, 9, 1, 0, 6, 12)], [0, 0], [5, 6]),
}  # fmt: skip


@pytest.mark.parametrize("name", TIMES)
def test_clocks_and_critical_paths(name: str) -> None:
    spans, skews, critical_times = TIMES[name]
    span, parent, kind, clock, start, end = zip(*spans, strict=True)
    up, left, _, _ = trace_dag(span, parent, kind)
    covered, skew, off_path = trace_times(up, left, kind, clock, start, end)
    assert skew == skews
    own = [e - s - c for s, e, c in zip(start, end, covered, strict=True)]
    assert [s - o for s, o in zip(own, off_path, strict=True)] == critical_times
