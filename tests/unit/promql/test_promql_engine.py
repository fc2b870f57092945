"""The engine's own edges: limits, annotations' positions, slices, what a rule sees, what an import loads."""

from __future__ import annotations

import numpy as np
import pytest

from obs.errors import QueryError, QueryLimit
from obs.model.labels import make_labels
from obs.tsdb.promql import ExecutionError, PromQL, QueryOptions, QueryTimeout
from obs.tsdb.promql.scripts.memory import MemorySource


@pytest.fixture
def source() -> MemorySource:
    memory = MemorySource()
    for host in range(20):
        labels = make_labels({"__name__": "requests", "host": str(host), "job": f"j{host % 3}"})
        for i in range(40):
            memory.add(labels, i * 15_000, float(i * host))
    return memory


def test_instant_gives_rules_their_samples(source: MemorySource) -> None:
    samples = PromQL(source).instant('rate(requests{host="2"}[5m]) > 0', 585_000)
    assert [(s.labels, s.t_ms, round(s.value, 6)) for s in samples] == [
        ((("host", "2"), ("job", "j2")), 585_000, round(2 / 15, 6))
    ]
    assert PromQL(source).instant("1 + 1", 0)[0].value == 2


def test_scalar_over_a_range_is_one_series(source: MemorySource) -> None:
    result = PromQL(source).query_range("time()", 0, 60_000, 30_000)
    assert (result.kind, result.labels, result.values.tolist()) == ("matrix", [()], [[0.0, 30.0, 60.0]])


def test_range_vector_at_one_time_is_its_raw_samples(source: MemorySource) -> None:
    result = PromQL(source).query('requests{host="1"}[1m]', 60_000)
    assert result.kind == "matrix"
    assert result.times.tolist() == [15_000, 30_000, 45_000, 60_000]
    assert result.values.tolist() == [[1.0, 2.0, 3.0, 4.0]]


def test_slices_change_nothing(source: MemorySource) -> None:
    whole, sliced = PromQL(source), PromQL(source, QueryOptions(slice_cells=7))
    for op in ("sum", "avg", "min", "max", "count", "stddev", "group"):
        query = f"{op} by (job) (rate(requests[5m]))"
        a, b = (p.query_range(query, 0, 600_000, 15_000) for p in (whole, sliced))
        assert a.labels == b.labels
        assert np.array_equal(a.values[a.present], b.values[b.present])
        assert np.array_equal(a.present, b.present)


@pytest.mark.parametrize("op", ["topk", "bottomk"])
@pytest.mark.parametrize("k", [-1, 0, 1, 3, 4, 9, 50])
def test_ranking_by_slices_picks_what_ranking_the_whole_does(op: str, k: int) -> None:
    memory = MemorySource()
    for host, value in enumerate([1.0, 5.0, np.nan, 5.0, 2.0, 2.0, np.inf, -np.inf, 2.0, np.nan]):
        memory.add(make_labels({"__name__": "load", "host": f"{host * 7 % 10}"}), 0, value)
    for options in (QueryOptions(), QueryOptions(slice_cells=3)):
        promql = PromQL(memory, options)
        whole, sliced = (promql.query(f"{op}({text}, load)", 0) for text in (f"scalar(vector({k}))", str(k)))
        assert list(sliced.labels) == list(whole.labels)
        assert np.array_equal(sliced.values, whole.values, equal_nan=True)
        assert len(sliced.labels) == max(min(k, 10), 0)


def test_too_many_samples_are_refused(source: MemorySource) -> None:
    with pytest.raises(QueryLimit, match="too many samples"):
        PromQL(source, QueryOptions(max_samples=100)).query_range("requests", 0, 600_000, 15_000)


def test_time_is_limited(source: MemorySource) -> None:
    with pytest.raises(QueryTimeout):
        PromQL(source).query("sum(requests)", 0, timeout_s=0.0)


def test_steps_are_limited(source: MemorySource) -> None:
    with pytest.raises(QueryError, match="exceeded maximum resolution of 11,000 points"):
        PromQL(source).query_range("requests", 0, 12_000_000, 1_000)
    assert PromQL(source).query_range("vector(1)", 0, 11_000_000, 1_000).present.sum() == 11_001


def test_failure_on_the_data_is_an_execution_error(source: MemorySource) -> None:
    with pytest.raises(ExecutionError, match="many-to-many matching not allowed"):
        PromQL(source).query("requests + on (job) requests", 60_000)


def test_equal_labels_at_one_time_alone_fail_where_they_are_shown() -> None:
    memory = MemorySource()
    for job in "ab":
        for le, count in (("1", 1.0), ("+Inf", 2.0)):
            memory.add(make_labels({"__name__": "h_bucket", "job": job, "le": le}), 0, count)
    promql, twice = PromQL(memory), 'histogram_quantiles(h_bucket, "job", 0.5, 0.5)'
    for query, value in (("count({})", 4), ("count(-{} or h_bucket)", 8), ("count(absent({})) or vector(0)", 0)):
        assert promql.query(query.format(twice), 0).values.tolist() == [[value]]
    for query in ("{}", "-{}", "count(count_over_time({}[1m:1m]))"):
        with pytest.raises(QueryError, match="same labelset"):
            promql.query(query.format(twice), 0)
    with pytest.raises(QueryError, match="same labelset"):
        promql.query_range(f"count({twice})", 0, 60_000, 60_000)


def test_info_says_where(source: MemorySource) -> None:
    result = PromQL(source).query("1 +\n sum(rate(requests[5m]))", 600_000)
    assert result.infos == (
        "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket:"
        ' "requests" (2:11)',
    )


def test_lookback_can_be_given(source: MemorySource) -> None:
    late = 585_000 + 200_000
    assert len(PromQL(source).query("requests", late).labels) == 20
    assert len(PromQL(source).query("requests", late, lookback_ms=60_000).labels) == 0
