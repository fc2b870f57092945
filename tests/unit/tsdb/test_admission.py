"""The cardinality limits: the guilty metric's new series are dropped, told and counted; nothing else is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from metric_rows import held, mixed_batch

from obs.columnar.options import EngineOptions
from obs.model.batch import Batch
from obs.model.labels import Labels, Matcher, MatchOp, make_labels
from obs.model.ports import Stored, UnknownSeries
from obs.tsdb import admission, status
from obs.tsdb.limits import NAMED_METRICS, OTHER_METRICS, StoreLimits
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.store import DROPPED_BY_METRIC, MetricStore

T0 = 1_700_000_000_000
OPTIONS = EngineOptions(compact_interval_s=3600.0)
HIST = Histogram(schema=0, count=3.0, sum=9.0, positive={1: 3.0})


def series(metric: str, *numbers: int) -> list[Labels]:
    return [make_labels({"__name__": metric, "user": str(n)}) for n in numbers]


def batch(*labels: Labels, t_ms: int = T0) -> Batch:
    return mixed_batch([(ls, t_ms, 1.0) for ls in labels], [(ls, t_ms, 1.0, "trace") for ls in labels])


def without_labels(given: Batch) -> Batch:
    return Batch(given.signal, {name: table for name, table in given.tables.items() if name != "series"})


Open = Callable[..., MetricStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    stores: list[MetricStore] = []

    def open_(per_metric: int = 3, total: int = 1000) -> MetricStore:
        for store in stores:
            store.close()
        limits = StoreLimits(max_series=total, max_series_per_metric=per_metric)
        stores.append(MetricStore(tmp_path / "metrics", OPTIONS, limits=limits))
        stores[-1].open()
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


def users(store: MetricStore, metric: str = "m") -> list[str]:
    return [dict(ls)["user"] for ls in store.series([[Matcher("__name__", MatchOp.EQ, metric)]])]


def test_only_new_series_of_the_guilty_metric_are_dropped(opened: Open) -> None:
    store = opened()
    assert store.consume(batch(*series("m", 0, 1))).dropped == {}
    mixed = batch(*series("m", 0, 2, 3, 4), *series("other", 0, 1), t_ms=T0 + 1)
    stored = store.consume(mixed)
    assert stored.dropped == {"cardinality_limit": 2}
    assert (
        "limit of 3 series a metric (tsdb.max_series_per_metric) is reached by 'm'" in stored.why["cardinality_limit"]
    )
    assert stored.batch.items == 4
    assert (users(store), users(store, "other")) == (["0", "1", "2"], ["0", "1"])
    rows = held(store.select([], T0, T0 + 9))
    assert sum(t == T0 + 1 for _, t in rows) == 4
    assert {ls for ls, _ in store.exemplars([], T0, T0 + 9)} == {ls for ls, _ in rows}
    assert store.stats().extra[DROPPED_BY_METRIC] == {"m": 2}
    assert status.tsdb(store, 10)["cardinalityLimits"] == {
        "maxSeriesPerMetric": 3, "maxSeries": 1000, "droppedSamplesByMetricName": [{"name": "m", "value": 2}],
    }  # fmt: skip


def test_those_refused_are_remembered_without_their_labels(opened: Open) -> None:
    store = opened()
    everyone = batch(*series("m", 0, 1, 2, 3, 4))
    assert store.consume(everyone).dropped == {"cardinality_limit": 2}
    assert store.consume(without_labels(everyone)).dropped == {"cardinality_limit": 2}
    with pytest.raises(UnknownSeries):
        store.consume(without_labels(batch(*series("n", 9))))
    assert users(store) == ["0", "1", "2"]


def test_histograms_are_dropped_with_their_counts(opened: Open) -> None:
    store = opened(per_metric=1)
    stored = store.consume(mixed_batch([(ls, T0, HIST) for ls in series("m", 0, 1)]))
    assert stored.dropped == {"cardinality_limit": 1}
    assert (stored.batch.tables["samples"].num_rows, stored.batch.tables["histograms"].num_rows) == (1, 1)
    assert held(store.select([], T0, T0)) == {(series("m", 0)[0], T0): HIST}


def test_nothing_left_of_a_batch(opened: Open) -> None:
    store = opened(per_metric=1)
    store.consume(batch(*series("m", 0)))
    stored = store.consume(batch(*series("m", 1, 2)))
    assert (stored.batch.items, stored.dropped) == (0, {"cardinality_limit": 2})


def test_the_limit_of_all_metrics_together(opened: Open) -> None:
    store = opened(per_metric=3, total=4)
    store.consume(batch(*series("a", 0, 1), *series("b", 0, 1)))
    stored = store.consume(batch(*series("a", 0, 2), *series("c", 0)))
    assert stored.dropped == {"cardinality_limit": 2}
    assert "the limit of 4 series in all (tsdb.max_series) is reached" in stored.why["cardinality_limit"]
    assert users(store, "a") == ["0", "1"]


def test_series_without_a_name_share_a_limit(opened: Open) -> None:
    store = opened(per_metric=1)
    first, second = make_labels({"a": "1"}), make_labels({"a": "2"})
    assert store.consume(batch(first)).dropped == {}
    assert store.consume(batch(second)).dropped == {"cardinality_limit": 1}


@pytest.mark.parametrize("flush", [False, True])
def test_a_restart_counts_the_same(opened: Open, flush: bool) -> None:
    store = opened()
    store.consume(batch(*series("m", 0, 1, 2)))
    if flush:
        store.flush()
        store.consume(batch(*series("m", 0, 1, 2), t_ms=T0 + 1))
    store = opened()
    assert store.consume(batch(*series("m", 9))).dropped == {"cardinality_limit": 1}
    assert store.consume(batch(*series("m", 0, 1, 2), t_ms=T0 + 2)).dropped == {}
    assert users(store) == ["0", "1", "2"]


def test_a_lower_limit_refuses_no_known_series(opened: Open) -> None:
    store = opened(per_metric=5)
    store.consume(batch(*series("m", 0, 1, 2, 3, 4)))
    store.flush()
    store = opened(per_metric=2, total=3)
    assert store.consume(batch(*series("m", 0, 1, 2, 3, 4), t_ms=T0 + 1)).dropped == {}
    assert store.consume(batch(*series("m", 5))).dropped == {"cardinality_limit": 1}
    assert users(store) == ["0", "1", "2", "3", "4"]


def test_deleted_series_make_room(opened: Open) -> None:
    store = opened()
    assert store.consume(batch(*series("m", 0, 1, 2, 3))).dropped == {"cardinality_limit": 1}
    store.delete([[Matcher("user", MatchOp.EQ, "1")]])
    assert store.consume(batch(*series("m", 3))).dropped == {}
    assert store.consume(batch(*series("m", 4))).dropped == {"cardinality_limit": 1}
    assert users(store) == ["0", "2", "3"]


def test_counting_anew_is_rare(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened()
    store.consume(batch(*series("m", 0, 1, 2, 3)))
    monkeypatch.setattr(store.admission, "_held", lambda: pytest.fail("counted twice within half a minute"))
    store.consume(batch(*series("m", 4, 5, 6)))
    assert store.admission.dropped == {"m": 4}


def test_many_guilty_metrics_are_named_in_bounded_length(opened: Open) -> None:
    store = opened(per_metric=1)
    metrics = [f"m{i:03}" for i in range(NAMED_METRICS + 20)]
    stored = store.consume(batch(*(ls for metric in metrics for ls in series(metric, 0, 1))))
    assert stored.dropped == {"cardinality_limit": len(metrics)}
    assert "and 117 more" in stored.why["cardinality_limit"]
    dropped = store.admission.dropped
    assert (len(dropped), dropped[OTHER_METRICS]) == (NAMED_METRICS + 1, 20)


def test_many_refused_series_are_forgotten_in_time(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_REFUSED", 10)
    store = opened()
    last = Stored(batch())
    for first in range(0, 60, 6):
        last = store.consume(batch(*series("m", *range(first, first + 6))))
        assert store.admission._refused.size <= 10
    assert last.dropped == {"cardinality_limit": 6}
    with pytest.raises(UnknownSeries):
        store.consume(without_labels(batch(*series("m", 3))))
