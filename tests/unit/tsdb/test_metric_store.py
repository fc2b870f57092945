"""The metric store through its ports: what is stored, found, refused, and what outlives a flush and a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from metric_rows import mixed_batch

from obs.columnar.options import EngineOptions
from obs.errors import QueryError, QueryLimit, UserError
from obs.model.batch import Batch, Signal
from obs.model.build import metrics_batch
from obs.model.labels import Labels, Matcher, MatchOp, labels_id, make_labels
from obs.model.ports import SeriesSet, UnknownSeries
from obs.model.schema import EXEMPLARS, SAMPLES
from obs.sql.engine import SqlEngine
from obs.tsdb.limits import StoreLimits
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.store import MetricStore

DAY = 86_400_000
T0 = 1_700_000_000_000
UP = [make_labels({"__name__": "up", "job": j}) for j in "abc"]
NAME = Matcher("__name__", MatchOp.EQ, "up")
OPTIONS = EngineOptions(compact_interval_s=3600.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricStore]:
    opened = MetricStore(tmp_path / "metrics", OPTIONS)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def again(store: MetricStore) -> Iterator[Callable[[], MetricStore]]:
    opened: list[MetricStore] = []

    def reopen() -> MetricStore:
        store.close()
        opened.append(MetricStore(store.engine.folder, OPTIONS))
        opened[-1].open()
        assert opened[-1].engine.wait_recovered(30)
        return opened[-1]

    yield reopen
    for each in opened:
        each.close()


def found(selected: SeriesSet) -> dict[Labels, list[tuple[int, float]]]:
    return {
        labels: list(zip(selected.t_ms[a:b].tolist(), selected.values[a:b].tolist(), strict=True))
        for labels, a, b in zip(selected.labels, selected.offsets[:-1], selected.offsets[1:], strict=True)
    }


def put(store: MetricStore, *samples: tuple[Labels, int, float]) -> None:
    store.consume(metrics_batch(samples))


def bare(ids: list[int], t_ms: list[int], values: list[float]) -> Batch:
    return Batch(Signal.METRICS, {"samples": pa.RecordBatch.from_pydict(
        {"series_id": ids, "t_ms": t_ms, "value": values}, schema=SAMPLES)})  # fmt: skip


def test_head_and_blocks_and_their_overlap(store: MetricStore) -> None:
    put(store, (UP[0], T0, 1.0), (UP[1], T0, 5.0), (UP[0], T0 + 20, 3.0))
    store.flush()
    put(store, (UP[0], T0 + 10, 2.0), (UP[0], T0 + 20, 33.0))
    store.flush()
    put(store, (UP[0], T0, 11.0), (UP[2], T0, 9.0), (UP[2], T0, 99.0))
    expected = {
        UP[0]: [(T0, 11.0), (T0 + 10, 2.0), (T0 + 20, 33.0)],
        UP[1]: [(T0, 5.0)],
        UP[2]: [(T0, 99.0)],
    }
    assert found(store.select([NAME], T0, T0 + 20)) == expected
    store.flush()
    store.engine.compact()
    assert found(store.select([NAME], T0, T0 + 20)) == expected
    assert store.stats().blocks == 1


def test_ranges_are_inclusive_and_empty_series_are_left_out(store: MetricStore) -> None:
    put(store, (UP[0], T0, 1.0), (UP[0], T0 + 1, 2.0), (UP[1], T0 + 2, 3.0))
    for _ in range(2):
        assert found(store.select([NAME], T0, T0 + 1)) == {UP[0]: [(T0, 1.0), (T0 + 1, 2.0)]}
        assert found(store.select([NAME], T0 + 1, T0 + 1)) == {UP[0]: [(T0 + 1, 2.0)]}
        assert found(store.select([NAME], T0 + 3, T0 + 9)) == {}
        assert found(store.select([NAME], T0 + 1, T0)) == {}
        store.flush()


def test_series_are_sorted_by_labels(store: MetricStore) -> None:
    labels = [make_labels({"__name__": n, "Zone": z}) for n in ("b", "a") for z in ("2", "1")]
    put(store, *((each, T0, 1.0) for each in labels))
    selected = store.select([], T0, T0)
    assert list(selected.labels) == sorted(labels)


def test_blocks_outside_the_range_are_skipped(store: MetricStore) -> None:
    for day in range(3):
        put(store, (UP[0], T0 + day * DAY, float(day)))
        store.flush()
    stats = store.select([NAME], T0 + DAY, T0 + DAY).stats
    assert (stats["blocks_read"], stats["blocks_skipped"], stats["rows_read"]) == (1, 2, 1)


def test_times_of_any_age(store: MetricStore) -> None:
    times = [-(1 << 63), -1, 0, T0, 7_258_118_400_000, (1 << 63) - 1]
    put(store, *((UP[0], t, float(i)) for i, t in enumerate(times)))
    expected = {UP[0]: list(zip(times, map(float, range(6)), strict=True))}
    assert found(store.select([NAME], -(1 << 63), (1 << 63) - 1)) == expected
    store.flush()
    assert found(store.select([NAME], -(1 << 70), 1 << 70)) == expected


def test_unknown_series_store_nothing(store: MetricStore) -> None:
    put(store, (UP[0], T0, 1.0))
    with pytest.raises(UnknownSeries):
        store.consume(bare([labels_id(UP[0]), labels_id(UP[1])], [T0 + 1, T0 + 1], [2.0, 2.0]))
    assert found(store.select([], T0, T0 + 9)) == {UP[0]: [(T0, 1.0)]}
    store.consume(bare([labels_id(UP[0])], [T0 + 1], [2.0]))
    assert found(store.select([], T0, T0 + 9)) == {UP[0]: [(T0, 1.0), (T0 + 1, 2.0)]}


def test_labels_are_announced_in_each_generation(store: MetricStore, again: Callable[[], MetricStore]) -> None:
    put(store, (UP[0], T0, 1.0))
    store.flush()
    store.consume(bare([labels_id(UP[0])], [T0 + 1], [2.0]))
    expected = {UP[0]: [(T0, 1.0), (T0 + 1, 2.0)]}
    assert found(again().select([], T0, T0 + 9)) == expected


def test_two_label_sets_of_one_id_are_refused(store: MetricStore) -> None:
    put(store, (UP[0], T0, 1.0))
    batch = metrics_batch([(UP[1], T0, 2.0)])
    series = batch.tables["series"].set_column(0, "series_id", pa.array([labels_id(UP[0])], pa.uint64()))
    with pytest.raises(UserError, match="belongs to other labels"):
        store.consume(Batch(Signal.METRICS, {**batch.tables, "series": series}))
    assert found(store.select([], T0, T0)) == {UP[0]: [(T0, 1.0)]}


def test_a_table_in_another_schema_is_refused(store: MetricStore) -> None:
    with pytest.raises(UserError, match="cannot store table 'samples'"):
        store.consume(Batch(Signal.METRICS, {"samples": pa.record_batch({"t_ms": [1]})}))


def test_what_there_is_by_time(store: MetricStore) -> None:
    old, new = make_labels({"__name__": "old", "x": "1"}), make_labels({"__name__": "new", "y": "2"})
    put(store, (old, T0 - DAY, 1.0))
    store.flush()
    put(store, (new, T0, 1.0))
    for _ in range(2):
        assert store.series([]) == [new, old]
        assert store.series([[Matcher("x", MatchOp.NE, "")], [NAME]]) == [old]
        assert store.series([], T0 - 5, T0 + 5) == [new]
        assert store.label_names((), T0 - DAY, T0 - DAY) == ["__name__", "x"]
        assert store.label_values("__name__") == ["new", "old"]
        assert store.label_values("__name__", [[Matcher("y", MatchOp.EQ, "2")]]) == ["new"]
        assert store.series([], T0 + DAY, T0 + 2 * DAY) == []
        store.flush()


def test_a_bad_regex_is_the_queries_fault(store: MetricStore) -> None:
    put(store, (UP[0], T0, 1.0))
    with pytest.raises(QueryError, match="cannot compile"):
        store.select([Matcher("job", MatchOp.RE, "(")], T0, T0)


def test_metadata_outlives_the_rows_it_came_with(store: MetricStore, again: Callable[[], MetricStore]) -> None:
    first = {"metric": "up", "type": "gauge", "unit": "", "help": "one"}
    store.consume(metrics_batch([(UP[0], T0, 1.0)], [first, {**first, "help": "two"}]))
    store.flush()
    put(store, (UP[0], T0 + DAY, 1.0))
    store.flush()
    assert [d.help for d in store.metadata()["up"]] == ["two", "one"]
    with store.view() as view:
        assert [block.read("metadata")["help"].to_pylist() for block in view.blocks] == [["one", "two"]] * 2
    reopened = again()
    assert [d.help for d in reopened.metadata("up")["up"]] == ["two", "one"]
    assert reopened.metadata("other") == {}


def test_exemplars(store: MetricStore, again: Callable[[], MetricStore]) -> None:
    ids = [labels_id(UP[0]), labels_id(UP[1])]
    rows = {"series_id": [ids[1], ids[0], ids[0], ids[0]], "t_ms": [T0, T0 + 5, T0, T0],
            "value": [1.0, 2.0, 3.0, 3.0],
            "labels": [[("trace_id", "b")], None, [("trace_id", "a")], [("trace_id", "a")]]}  # fmt: skip
    batch = metrics_batch([(each, T0, 1.0) for each in UP])
    exemplars = pa.RecordBatch.from_pydict(rows, schema=EXEMPLARS)
    store.consume(Batch(Signal.METRICS, {**batch.tables, "exemplars": exemplars}))

    def seen(of: MetricStore) -> list[tuple[Labels, list[tuple[int, float, Labels]]]]:
        entries = of.exemplars([[NAME]], T0, T0 + 5)
        return [(labels, [(e.t_ms, e.value, e.labels) for e in each]) for labels, each in entries]

    expected = [
        (UP[0], [(T0, 3.0, (("trace_id", "a"),)), (T0 + 5, 2.0, ())]),
        (UP[1], [(T0, 1.0, (("trace_id", "b"),))]),
    ]
    assert seen(store) == expected
    store.flush()
    assert seen(store) == expected
    store.consume(Batch(Signal.METRICS, {"exemplars": exemplars.slice(1)}))
    store.flush()
    store.engine.compact()
    assert seen(store) == expected
    with store.view() as view:
        assert sum(block.meta.table_rows["exemplars"] for block in view.blocks) == 3
    assert seen(again()) == expected
    assert store.exemplars([[NAME]], T0 + 6, T0 + 9) == []


def test_cardinality(store: MetricStore) -> None:
    put(store, *((each, T0, 1.0) for each in UP))
    figures = store.cardinality(2)
    assert (figures.series, figures.pairs) == (3, 4)
    assert figures.series_by_metric == [("up", 3)]
    assert figures.values_by_label == [("job", 3), ("__name__", 1)]
    assert figures.series_by_pair == [("__name__=up", 3), ("job=a", 1)]


def test_sql_sees_head_and_blocks(store: MetricStore, tmp_path: Path) -> None:
    put(store, (UP[0], T0, 1.25), (UP[1], T0, float("inf")))
    store.flush()
    put(store, (UP[2], T0, 1 / 3))
    with closing(SqlEngine([store], tmp_path, 100_000_000, 10)) as sql:
        rows = sql.query("SELECT labels['job'] AS job, metric, value, t_ms FROM metrics ORDER BY job").to_pylist()
        assert sql.query("SELECT count(*) AS n FROM series").to_pylist() == [{"n": 3}]
    assert [tuple(row.values()) for row in rows] == [
        ("a", "up", 1.25, T0), ("b", "up", float("inf"), T0), ("c", "up", 1 / 3, T0)]  # fmt: skip


def test_a_block_reads_with_one_expression(store: MetricStore) -> None:
    rng = np.random.default_rng(3)
    values = {UP[0]: rng.integers(0, 1000, 99) / 100, UP[1]: rng.random(99), UP[2]: rng.integers(0, 9, 99) * 1.0}
    put(store, *((each, T0 + i, float(v)) for each, column in values.items() for i, v in enumerate(column)))
    store.flush()
    with store.view() as view:
        samples, series = view.blocks[0].path("samples"), view.blocks[0].path("series")
        rows = duckdb.sql(
            "SELECT labels['job'] AS job, list(coalesce(value_double, value_int / pow(10, p.scale)) ORDER BY t_ms) "
            f"FROM '{samples}' p JOIN '{series}' USING (ordinal) GROUP BY job ORDER BY job"
        ).fetchall()
    assert [list(column) for _, column in rows] == [list(column) for column in values.values()]


@pytest.mark.parametrize("slice_rows", [10, 40, 1000])
def test_series_over_several_row_groups_and_slices(
    store: MetricStore, monkeypatch: pytest.MonkeyPatch, slice_rows: int
) -> None:
    monkeypatch.setattr("obs.tsdb.writing.ROW_GROUP_ROWS", 10)
    monkeypatch.setattr("obs.tsdb.writing.SLICE_ROWS", slice_rows)
    put(store, *((each, T0 + i, float(i)) for each in UP for i in range(35)))
    store.flush()
    for each in UP:
        selected = store.select([Matcher("job", MatchOp.EQ, dict(each)["job"])], T0 + 2, T0 + 33)
        assert found(selected) == {each: [(T0 + i, float(i)) for i in range(2, 34)]}
    assert found(store.select([NAME], T0, T0 + 99)) == {each: [(T0 + i, float(i)) for i in range(35)] for each in UP}


@pytest.mark.parametrize("slice_rows", [7, 40, 1000])
def test_blocks_are_merged_slice_by_slice(store: MetricStore, monkeypatch: pytest.MonkeyPatch, slice_rows: int) -> None:
    monkeypatch.setattr("obs.tsdb.writing.ROW_GROUP_ROWS", 10)
    monkeypatch.setattr("obs.tsdb.merging.SLICE_ROWS", slice_rows)
    expected: dict[Labels, dict[int, float]] = {each: {} for each in UP}
    for block, series in enumerate([UP[:2], UP[1:], UP, UP[::2]]):
        rows = [
            (each, T0 + i * 3 + block % 2, i / 8 + block) for each in series for i in range(5 * block, 5 * block + 20)
        ]
        for each, t_ms, value in rows:
            expected[each][t_ms] = value
        put(store, *rows)
        store.flush()
    monkeypatch.setattr("obs.tsdb.layout.block_rows", None)  # all rows at one time: not needed here
    store.engine.compact()
    with store.view() as view:
        (block,) = view.blocks
        assert block.meta.rows == sum(len(samples) for samples in expected.values())
        assert block.meta.extra["overwritten"] == block.meta.rows_in - block.meta.rows > 0
    assert found(store.select([NAME], T0, T0 + 999)) == {each: sorted(s.items()) for each, s in expected.items()}


@pytest.mark.parametrize("as_read", [True, False])
def test_blocks_of_many_bytes_are_merged_only_as_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_read: bool
) -> None:
    if not as_read:
        monkeypatch.setattr("obs.tsdb.layout.MergedSamples.are_in_order", False)
    options = EngineOptions(compact_max_bytes=1, compact_interval_s=3600.0)
    with closing(MetricStore(tmp_path / "small", options)) as store:
        store.open()
        for n in range(4):
            put(store, *((each, T0 + n, float(n)) for each in UP))
            store.flush()
        store.engine.compact()
        with store.view() as view:
            assert len(view.blocks) == (1 if as_read else 4)
        assert store.engine.counters.compaction_failures == 0
        assert store.engine.compact() == 0  # what cannot be merged is not tried again
        assert found(store.select([NAME], T0, T0 + 9)) == {each: [(T0 + n, float(n)) for n in range(4)] for each in UP}


def test_blocks_are_not_merged_in_the_background_while_labels_are_read_after_a_start(
    store: MetricStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        put(store, *((each, T0 + n, float(n)) for each in UP))
        store.flush()
    all_known = store.engine._state.layout._all_known
    monkeypatch.setattr(store.engine._state.layout, "_all_known", lambda: False)
    assert store.engine._compactor.step() == OPTIONS.compact_interval_s
    with store.view() as view:
        assert len(view.blocks) == 4
    monkeypatch.undo()
    assert store._labels_read.wait(10) and all_known()
    store.engine._compactor.step()
    with store.view() as view:
        assert len(view.blocks) == 1


@pytest.mark.parametrize(("most", "blocks"), [(100, 4), (1 << 20, 1)])
def test_histograms_bound_merges_by_their_bytes(tmp_path: Path, most: int, blocks: int) -> None:
    """They are not merged piece by piece: all of a merge are in memory at once."""
    wide = Histogram(schema=0, count=40.0, sum=9.0, positive=dict.fromkeys(range(40), 1.0))
    options = EngineOptions(compact_max_bytes=most, compact_interval_s=3600.0)
    with closing(MetricStore(tmp_path / "small", options)) as store:
        store.open()
        for n in range(4):
            store.consume(mixed_batch([(UP[0], T0 + n, wide)], []))
            store.flush()
        store.engine.compact()
        with store.view() as view:
            assert len(view.blocks) == blocks


def test_a_damaged_block_is_not_merged_and_the_others_stay(store: MetricStore) -> None:
    for n in range(2):
        put(store, *((each, T0 + i * 1000 + n, float(i)) for each in UP for i in range(50)))
        store.flush()
    with store.view() as view:
        path = view.blocks[0].path("samples")
        assert path is not None
    path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    store.engine.compact()
    assert found(store.select([NAME], T0, T0 + 99)) == {each: [(T0 + 1, 0.0)] for each in UP}
    assert store.engine.counters.quarantined == 1


def test_a_selection_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    store = MetricStore(tmp_path / "metrics", OPTIONS, limits=StoreLimits(max_rows=5))
    store.open()
    put(store, *((each, T0 + i, 1.0) for each in UP for i in range(3)))
    store.flush()
    with pytest.raises(QueryLimit, match="cannot read more than 5 samples"):
        store.select([NAME], T0, T0)
    assert len(store.select([NAME, Matcher("job", MatchOp.EQ, "a")], T0, T0).values) == 1
    store.close()


def test_close_without_open(tmp_path: Path) -> None:
    never = MetricStore(tmp_path / "none")
    never.close()
    never.close()
