"""The DAG's compiled loops against their plain twins, on traces with every fault."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from obs.tracestore import kernels
from obs.tracestore.dag_plain import trace_dag

SPAN = st.tuples(st.integers(1, 8), st.integers(0, 9), st.integers(0, 5), st.integers(0, 20), st.integers(0, 30))
TRACES = st.lists(st.lists(SPAN, min_size=1, max_size=12), min_size=1, max_size=4)


@settings(max_examples=400, deadline=None)
@given(traces=TRACES)
def test_kernels_equal_plain(traces: list[list[tuple[int, int, int, int, int]]]) -> None:
    traces = [sorted(trace, key=lambda s: s[3]) for trace in traces]
    rows = [span for trace in traces for span in trace]
    columns = list(zip(*rows, strict=True))
    types = (np.uint64, np.uint64, np.uint8, np.int64, np.int64)
    span, parent, kind, start, end = (np.array(c, t) for c, t in zip(columns, types, strict=True))
    starts = np.cumsum([0, *map(len, traces)]).astype(np.int64)
    out = [np.full(len(rows), -9, np.int32) for _ in range(4)] + [np.full(len(rows), -9, np.int64)]
    kernels.build_dag(starts, span, parent, kind, start, end, np.uint64(7), *out)
    plain = [trace_dag(*zip(*trace, strict=True)) for trace in traces]
    for array, twin in zip(out, zip(*plain, strict=True), strict=True):
        assert array.tolist() == [value for values in twin for value in values]


@settings(max_examples=200, deadline=None)
@given(trace=st.lists(SPAN, min_size=1, max_size=30))
def test_nested_sets_are_the_tree(trace: list[tuple[int, int, int, int, int]]) -> None:
    trace = sorted(trace, key=lambda s: s[3])
    up, left, right, depth, covered = trace_dag(*zip(*trace, strict=True))
    assert sorted(left + right) == list(range(1, 2 * len(trace) + 1))
    for i, p in enumerate(up):
        assert depth[i] == (0 if p < 0 else depth[p] + 1)
        assert p < 0 or (left[p] < left[i] and right[i] < right[p])
        assert 0 <= covered[i] <= max(0, trace[i][4] - trace[i][3])
