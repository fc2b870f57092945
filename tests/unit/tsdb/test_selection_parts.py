"""Selections in parts, and runs of a head that stay sorted: both give what a plain selection gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from obs import warm
from obs.columnar.options import EngineOptions
from obs.errors import QueryLimit
from obs.model.build import metrics_batch
from obs.model.labels import Labels, Matcher, MatchOp, make_labels
from obs.model.ports import SeriesSet
from obs.tsdb import selection
from obs.tsdb.compiled import KERNELS
from obs.tsdb.promql import PromQL
from obs.tsdb.promql.context import QueryOptions
from obs.tsdb.promql.result import Result
from obs.tsdb.store import MetricStore


class ManualClock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.ms = 1_790_000_000_000

    def now_ns(self) -> int:
        return self.ms * 1_000_000


NAMED = [Matcher("__name__", MatchOp.RE, "m.*")]
LABELS = [make_labels({"__name__": f"m{i % 3}", "shard": str(i)}) for i in range(40)]
Rows = dict[Labels, list[tuple[int, float]]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricStore]:
    opened = MetricStore(tmp_path / "metrics", EngineOptions(compact_interval_s=3600.0))
    opened.open()
    yield opened
    opened.close()


def rows_of(*found: SeriesSet) -> Rows:
    return {
        labels: list(zip(each.t_ms[a:b].tolist(), each.values[a:b].tolist(), strict=True))
        for each in found
        for labels, a, b in zip(each.labels, each.offsets[:-1], each.offsets[1:], strict=True)
    }


def fill(store: MetricStore, expected: Rows, seed: int, times: int) -> None:
    """Each series at random times, some written twice, in batches of one time each."""
    rng = np.random.default_rng(seed)
    for t in rng.integers(0, 60, times).tolist():
        values = rng.integers(0, 1000, len(LABELS)).astype(float).tolist()
        store.consume(metrics_batch([(labels, t * 1000, v) for labels, v in zip(LABELS, values, strict=True)]))
        for labels, value in zip(LABELS, values, strict=True):
            kept = dict(expected.get(labels, []))
            kept[t * 1000] = value
            expected[labels] = sorted(kept.items())


def test_parts_together_are_the_whole(store: MetricStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "PART_ROWS", 100)
    expected: Rows = {}
    for seed in range(3):
        fill(store, expected, seed, 9)
        if seed < 2:
            store.flush()
    parts = store.selection(NAMED, 10_000, 40_000, 7)
    found = [parts.read(i) for i in range(len(parts))]
    parts.close()
    assert len(found) > 6 and max(len(each.labels) for each in found) <= 7
    assert sum(len(each.labels) for each in found) == len(rows_of(*found))
    inside = {ls: [(t, v) for t, v in rows if 10_000 <= t <= 40_000] for ls, rows in expected.items()}
    assert rows_of(*found) == {ls: rows for ls, rows in inside.items() if rows}
    assert rows_of(store.select(NAMED, 10_000, 40_000)) == rows_of(*found)


def test_a_moment_of_long_series_is_read_in_few_parts(store: MetricStore, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [(labels, t * 1000, float(t)) for labels in LABELS for t in range(100)]
    store.consume(metrics_batch(samples))
    store.flush()
    monkeypatch.setattr(selection, "PART_ROWS", 400)
    with store.selection(NAMED, 0, 100_000) as whole, store.selection(NAMED, 98_000, 100_000) as moment:
        assert (len(whole), len(moment)) == (10, 2)  # 4,000 rows, and as many passed by
        found = rows_of(*(moment.read(part) for part in range(len(moment))))
    assert found == {labels: [(98_000, 98.0), (99_000, 99.0)] for labels in LABELS}


@pytest.mark.parametrize("seed", range(3))
def test_last_samples_need_few_of_the_rows(store: MetricStore, seed: int) -> None:
    """Blocks and head in no order of time, some series late in each, some rows deleted."""
    rng = np.random.default_rng(seed)
    for part in range(5):
        times = rng.permutation(60)[:9] * 1000
        some = [labels for labels in LABELS if rng.random() < 0.8]
        store.consume(metrics_batch([(ls, int(t), float(part)) for ls in some for t in times if rng.random() < 0.8]))
        if part < 4:
            store.flush()
        if part == 2:
            store.delete([[Matcher("shard", MatchOp.RE, "1.")]], 30_000, 50_000)
    for start, end in ((0, 100_000), (10_000, 40_000), (35_000, 35_000), (0, 0)):
        with store.selection(NAMED, start, end) as whole, store.selection(NAMED, start, end, last_only=True) as few:
            everything = rows_of(*(whole.read(part) for part in range(len(whole))))
            found = rows_of(*(few.read(part) for part in range(len(few))))
            assert {ls: rows[-1] for ls, rows in found.items()} == {ls: rows[-1] for ls, rows in everything.items()}
            assert (start, end) != (0, 100_000) or few.stats["rows_read"] < whole.stats["rows_read"]


@pytest.mark.parametrize("query", ["sum by (shard) (rate(m1[30s]))", "count(increase(m2[20s] @ end()))"])
def test_rates_where_samples_lie_tell_what_copied_ones_do(store: MetricStore, query: str) -> None:
    """Their answer, what it cost, what is to be said of it, and whether it is too much."""
    expected: Rows = {}
    fill(store, expected, 1, 9)
    store.flush()
    fill(store, expected, 2, 9)
    before, found = warm.ready(KERNELS), list[Result]()
    for compiled in (True, False):
        warm.load_now(KERNELS) if compiled else warm._state.ready.discard(KERNELS)
        found.append(PromQL(store, QueryOptions(slice_cells=20)).query_range(query, 0, 60_000, 5_000))
        with pytest.raises(QueryLimit):
            PromQL(store, QueryOptions(max_samples=40)).query_range(query, 0, 60_000, 5_000)
    warm._state.ready.discard(KERNELS)
    if before:
        warm.load_now(KERNELS)
    one, other = found
    assert list(one.labels) == list(other.labels) and one.present.any()
    assert np.array_equal(one.values, other.values) and np.array_equal(one.present, other.present)
    assert one.infos == other.infos != []
    told = ("series", "samples")
    assert [one.stats[name] for name in told] == [other.stats[name] for name in told]


def test_a_selection_of_nothing_has_no_parts(store: MetricStore) -> None:
    fill(store, {}, 1, 2)
    with store.selection([Matcher("__name__", MatchOp.EQ, "other")], 0, 100_000) as parts:
        assert len(parts) == 0


def test_few_series_of_a_head_are_found_before_it_is_sorted(
    store: MetricStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from obs.tsdb import headruns

    monkeypatch.setattr(headruns, "SORTED_RUN_ROWS", 200)
    expected: Rows = {}
    fill(store, expected, 1, 140)
    for labels in (LABELS[3], LABELS[17]):
        one = [Matcher("shard", MatchOp.EQ, dict(labels)["shard"])]
        for within in ((0, 100_000), (20_000, 30_000)):
            wanted = {labels: [(t, v) for t, v in expected[labels] if within[0] <= t <= within[1]]}
            assert rows_of(store.select(one, *within)) == wanted
    runs = store._reader.runs
    with store.view() as view:
        full = [table for table in view.head_runs("samples") if table.num_rows >= 200]
        assert full and all(runs.of(table) and runs.kept(table) for table in full)
    assert rows_of(store.select(one, *within)) == wanted


def test_sorted_runs_serve_again_until_their_head_is_flushed(
    store: MetricStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from obs.tsdb import headruns

    monkeypatch.setattr(headruns, "SORTED_RUN_ROWS", 200)
    expected: Rows = {}
    fill(store, expected, 1, 140)  # more chunks than a head keeps as they came
    for seed in (2, 3):
        assert rows_of(store.select(NAMED, 0, 100_000)) == expected
        held = store.stats().extra["bytes_cache"]
        assert held > 0
        assert rows_of(store.select(NAMED, 0, 100_000)) == expected
        assert store.stats().extra["bytes_cache"] == held
        fill(store, expected, seed, 3)
    assert rows_of(store.select(NAMED, 0, 100_000)) == expected
    store.flush()
    assert rows_of(store.select(NAMED, 0, 100_000)) == expected


def test_what_is_kept_of_a_selection_hides_no_change(tmp_path: Path) -> None:
    options = EngineOptions(compact_interval_s=3600.0, retention_age_s=86_400.0)
    clock = ManualClock()
    named, expected = [Matcher("__name__", MatchOp.EQ, "m")], dict[str, set[int]]()
    store = MetricStore(tmp_path / "metrics", options, clock)
    store.open()

    def write(*numbers: int) -> None:
        labels = [make_labels({"__name__": "m", "job": "ab"[i % 2], "i": str(i)}) for i in numbers]
        store.consume(metrics_batch([(each, clock.ms, 1.0) for each in labels]))
        for i in numbers:
            expected.setdefault("ab"[i % 2], set()).add(i)

    def same() -> None:
        for _ in range(2):
            range_ms = clock.ms - 30 * 86_400_000, clock.ms
            found = PromQL(store).query("sum by (job) (count_over_time(m[30d]) >= bool 1)", clock.ms)
            counts = {dict(ls)["job"]: n for ls, n in zip(found.labels, found.values[:, 0].tolist(), strict=True)}
            assert counts == {job: len(numbers) for job, numbers in expected.items() if numbers}
            seen = {int(dict(labels)["i"]) for labels in store.select(named, *range_ms).labels}
            assert seen == set().union(*expected.values())

    same()
    write(0, 1, 2)
    same()
    write(3)
    same()
    store.flush()
    same()
    write(4, 1)  # a block and a head, and a series of both
    same()
    store.delete([[*named, Matcher("job", MatchOp.EQ, "b")]])
    expected["b"].clear()
    same()
    store.clean()
    same()
    write(5)
    store.flush()
    store.engine.compact()
    same()
    store.close()
    store = MetricStore(tmp_path / "metrics", options, clock)
    store.open()
    assert store.engine.wait_recovered(30)
    same()
    clock.ms += 20 * 86_400_000
    write(7)
    store.flush()
    store.engine.retain()
    expected.update(a=set(), b={7})
    same()
    store.close()
