"""The DAG's compiled loops against their plain twins, on traces with every fault."""

from __future__ import annotations

import numpy as np
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from obs.tracestore import kernels
from obs.tracestore.dag_plain import trace_dag
from obs.tracestore.times_plain import trace_times

Span = tuple[int, int, int, int, int, int]
SPAN = st.tuples(
    st.integers(1, 8), st.integers(0, 9), st.integers(0, 5), st.integers(0, 2), st.integers(0, 20), st.integers(0, 30)
)
"""Span, parent, kind, clock, start, end."""
TRACES = st.lists(st.lists(SPAN, min_size=1, max_size=12), min_size=1, max_size=4)
LARGE = st.lists(st.lists(SPAN, min_size=60, max_size=90), min_size=1, max_size=2)


def by_start(trace: list[Span]) -> list[Span]:
    return sorted(trace, key=lambda s: s[4])


def plain(trace: list[Span]) -> list[list[int]]:
    span, parent, kind, clock, start, end = zip(*trace, strict=True)
    tree = trace_dag(span, parent, kind)
    return [*tree, *trace_times(tree[0], tree[1], kind, clock, start, end)]


@examples(400)
@given(traces=TRACES | LARGE)
def test_kernels_equal_plain(traces: list[list[Span]]) -> None:
    traces = [by_start(trace) for trace in traces]
    columns = list(zip(*(span for trace in traces for span in trace), strict=True))
    types = (np.uint64, np.uint64, np.uint8, np.int32, np.int64, np.int64)
    span, parent, kind, clock, start, end = (np.array(c, t) for c, t in zip(columns, types, strict=True))
    starts = np.cumsum([0, *map(len, traces)]).astype(np.int64)
    tree = [np.full(len(span), -9, np.int32) for _ in range(4)]
    times = [np.full(len(span), -9, np.int64) for _ in range(3)]
    kernels.build_dag(starts, span, parent, kind, np.uint64(7), *tree)
    kernels.build_times(starts, tree[0], tree[1], kind, clock, start, end, *times)
    for array, twin in zip([*tree, *times], zip(*map(plain, traces), strict=True), strict=True):
        assert array.tolist() == [value for values in twin for value in values]


@examples(200)
@given(trace=st.lists(SPAN, min_size=1, max_size=30))
def test_nested_sets_are_the_tree(trace: list[Span]) -> None:
    trace = by_start(trace)
    up, left, right, depth, covered, _, _ = plain(trace)
    assert sorted(left + right) == list(range(1, 2 * len(trace) + 1))
    for i, p in enumerate(up):
        assert depth[i] == (0 if p < 0 else depth[p] + 1)
        assert p < 0 or (left[p] < left[i] and right[i] < right[p])
        assert 0 <= covered[i] <= max(0, trace[i][5] - trace[i][4])


@examples(200)
@given(trace=st.lists(SPAN, min_size=1, max_size=30))
def test_the_critical_path_is_as_long_as_the_trace_but_for_gaps(trace: list[Span]) -> None:
    trace = by_start(trace)
    up, _, _, _, covered, skew, off_path = plain(trace)
    low = [s[4] + k for s, k in zip(trace, skew, strict=True)]
    high = [max(s[4], s[5]) + k for s, k in zip(trace, skew, strict=True)]
    critical = [b - a - c - o for a, b, c, o in zip(low, high, covered, off_path, strict=True)]
    assert all(0 <= t <= b - a for t, a, b in zip(critical, low, high, strict=True))
    assert sum(critical) <= max(high) - min(low)
    if up.count(-1) == 1:
        top = up.index(-1)
        assert sum(critical) == high[top] - low[top]
