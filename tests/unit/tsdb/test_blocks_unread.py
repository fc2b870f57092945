"""What is answered of blocks whose series are not in memory: as after a start, and the same as when they are."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from metric_rows import bits, held, mixed_batch

from obs.columnar.block import BlockFolderWriter
from obs.columnar.options import EngineOptions
from obs.model.labels import Labels, Matcher, MatchOp, make_labels
from obs.tsdb import catalog, labelfile, merging, writing
from obs.tsdb.blocks import BlockSeries, Written
from obs.tsdb.filenames import LABELS
from obs.tsdb.index import SeriesIndex
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.store import MetricStore

T0 = 1_700_000_000_000
OPTIONS = EngineOptions(compact_interval_s=3600.0)
HIST = Histogram(schema=0, count=3.0, sum=9.0, positive={1: 3.0})
SHAPES = [({}, 1.0), ({"zone": "x"}, 2.25), ({"zone": "y", "n": "1"}, 0.001), ({"zone": "y"}, float("nan"))]
FLEET = [
    (make_labels({"__name__": f"m{i}", "i": str(k), **more}), value / (i + 1))
    for i in range(5)
    for k, (more, value) in enumerate(SHAPES)
]
Rows = list[tuple[Labels, int, float | Histogram]]


def m(name: str, value: str, op: str = "=") -> Matcher:
    return Matcher(name, MatchOp(op), value)


def rows(first: int, times: int) -> Rows:
    found: Rows = [(labels, T0 + t, v * t) for labels, v in FLEET for t in range(first, first + times)]
    return [*found, (make_labels({"__name__": "m2", "kind": "histogram"}), T0 + first, HIST)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a store with two blocks of many row groups, the later one cut by a delete."""
    monkeypatch.setattr(writing, "SERIES_GROUP_ROWS", 3)
    monkeypatch.setattr(writing, "ROW_GROUP_ROWS", 16)
    with closing(MetricStore(tmp_path / "metrics", OPTIONS)) as store:
        store.open()
        store.consume(mixed_batch(rows(0, 10), [(FLEET[0][0], T0 + 1, 1.0, "trace")]))
        store.flush()
        store.consume(mixed_batch(rows(8, 10), []))
        store.flush()
        store.delete([[m("__name__", "m3"), m("zone", "x")]], T0 + 9, T0 + 12)
    return tmp_path / "metrics"


@pytest.fixture
def unread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MetricStore]:
    """The store as it is before anything of its blocks is read ahead."""
    monkeypatch.setattr(MetricStore, "_load", lambda self: (self._metadata_read.set(), self._labels_read.set()))
    with closing(MetricStore(folder, OPTIONS)) as store:
        store.open()
        assert store.engine.wait_recovered(30) and not len(store.index)
        yield store


def read_all(store: MetricStore) -> None:
    with store.view() as view:
        store._reader.catalog.of(view.blocks)


@pytest.mark.parametrize("within", [(0, 100), (0, 9), (18, 100), (50, 60)])
def test_a_metric_is_read_alone(unread: MetricStore, within: tuple[int, int]) -> None:
    bounds = T0 + within[0], T0 + within[1]
    for name in ("m3", "m2", "absent"):
        wanted = [m("__name__", name), m("zone", "x", "!=")]
        before = held(unread.select(wanted, *bounds)), unread.series([wanted], *bounds)
        values = unread.label_values("zone", [wanted], *bounds), unread.label_names([wanted], *bounds)
        assert len(unread.index) <= 9  # of two metrics
        expected = MetricStore(unread.engine.folder.parent / "other", OPTIONS)
        with closing(copy_of(unread, expected)) as whole:
            assert before == (held(whole.select(wanted, *bounds)), whole.series([wanted], *bounds))
            assert values == (whole.label_values("zone", [wanted], *bounds), whole.label_names([wanted], *bounds))


def copy_of(store: MetricStore, empty: MetricStore) -> MetricStore:
    """A store in another folder that has read all series."""
    if not empty.engine.folder.exists():
        store.engine.snapshot(empty.engine.folder)
    empty.open()
    assert empty.engine.wait_recovered(30)
    read_all(empty)
    return empty


def test_a_listing_is_the_same_before_and_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(MetricStore(tmp_path / "metrics", OPTIONS)) as store:
        store.open()
        for first in (0, 20):
            store.consume(mixed_batch([*rows(first, 5), (make_labels({"late": f"{first}"}), T0 + first, 1.0)], []))
            store.flush()
    monkeypatch.setattr(MetricStore, "_load", lambda self: (self._metadata_read.set(), self._labels_read.set()))
    monkeypatch.setattr(labelfile, "MOST_VALUES", 3)
    with closing(MetricStore(tmp_path / "metrics", OPTIONS)) as store:
        store.open()
        assert store.engine.wait_recovered(30)

        def listings() -> list[list[str]]:
            spans = [(T0, T0 + 99), (T0, T0 + 4), (T0 + 20, T0 + 20), (T0 + 6, T0 + 9), (T0 + 99, T0 + 999)]
            return [
                found
                for span in spans
                for found in (
                    store.label_names((), *span), store.label_values("zone", (), *span),
                    store.label_values("__name__", (), *span), store.label_values("late", (), *span),
                    store.label_values("nothing", (), *span),
                )
            ]  # fmt: skip

        before = listings()
        assert not len(store.index)
        read_all(store)
        assert len(store.index) == len(FLEET) + 3
        assert listings() == before
        assert before[:2] == [["__name__", "i", "kind", "late", "n", "zone"], ["x", "y"]]


def test_names_of_many_values_and_old_blocks_are_told_by_their_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MetricStore, "_load", lambda self: (self._metadata_read.set(), self._labels_read.set()))
    monkeypatch.setattr(labelfile, "MOST_VALUES", 2)
    write = BlockFolderWriter.parquet

    def without_labels(self: BlockFolderWriter, name: str, *args: object, **options: object) -> None:
        if name != LABELS:
            write(self, name, *args, **options)  # type: ignore[arg-type]

    for number, old in enumerate((False, True)):
        monkeypatch.setattr(BlockFolderWriter, "parquet", without_labels if old else write)
        with closing(MetricStore(tmp_path / str(number), OPTIONS)) as store:
            store.open()
            store.consume(mixed_batch(rows(0, 2), []))
            store.flush()
        with closing(MetricStore(tmp_path / str(number), OPTIONS)) as store:
            store.open()
            assert store.label_values("zone") == ["x", "y"]
            assert bool(len(store.index)) is old
            assert store.label_values("i") == ["0", "1", "2", "3"]
            assert len(store.index)
            assert store.label_names() == ["__name__", "i", "kind", "n", "zone"]


def test_series_of_a_block_just_written_are_as_those_that_are_read_back(tmp_path: Path) -> None:
    with closing(MetricStore(tmp_path / "metrics", OPTIONS)) as store:
        store.open()
        store.consume(mixed_batch([*rows(0, 10), (FLEET[1][0], -(1 << 60), 1.0)], [(FLEET[0][0], T0, 1.0, "trace")]))
        store.flush()
        with store.view() as view:
            for block in view.blocks:
                index = SeriesIndex()
                index.add(store.index.to_arrow(np.arange(len(store.index))))
                (back,) = catalog.BlockCatalog(index, Written()).of([block])
                (kept,) = store._reader.catalog.of([block])
                for field in fields(back):
                    one, other = getattr(back, field.name), getattr(kept, field.name)
                    if isinstance(one, np.ndarray):
                        assert (one.dtype, one.tolist()) == (other.dtype, other.tolist()), field.name
                    else:
                        assert one == other or field.name == "footer", field.name


@pytest.mark.parametrize("asked", [(), ("m3",)])
def test_blocks_that_nobody_read_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...]
) -> None:
    """Nobody, or whoever asked for one metric of them."""
    monkeypatch.setattr(merging, "SLICE_ROWS", 20)
    parts = [rows(0, 10)[1:], [*rows(8, 10), (make_labels({"__name__": "a"}), T0, 1.0)]]
    with closing(MetricStore(tmp_path / "metrics", OPTIONS)) as store:
        store.open()
        for part in parts:
            store.consume(mixed_batch(part, [(FLEET[0][0], T0 + 1, 1.0, "trace")]))
            store.flush()
    monkeypatch.setattr(MetricStore, "_load", lambda self: (self._metadata_read.set(), self._labels_read.set()))
    with closing(MetricStore(tmp_path / "metrics", OPTIONS)) as store:
        store.open()
        assert store.engine.wait_recovered(30)
        assert [len(store.select([m("__name__", name)], T0, T0).labels) for name in asked] == [4] * len(asked)
        store.engine.compact()
        with store.view() as view:
            assert len(view.blocks) == 1
        assert held(store.select([], T0, T0 + 99)) == {(labels, t): bits(v) for part in parts for labels, t, v in part}
        assert set(store.series([])) == {labels for part in parts for labels, *_ in part}
        assert [(labels, len(each)) for labels, each in store.exemplars([], T0, T0 + 99)] == [(FLEET[0][0], 1)]


@pytest.mark.parametrize(("read", "paused"), [("ahead", True), ("of", False)])
def test_reading_ahead_gives_way_unless_someone_waits_for_it(unread: MetricStore, read: str, paused: bool) -> None:
    calls: list[int] = []
    fresh = catalog.BlockCatalog(SeriesIndex(), Written(), lambda: calls.append(1))
    with unread.view() as view:
        getattr(fresh, read)(view.blocks)
        assert bool(calls) is paused
        assert all(fresh.known(block) is not None for block in view.blocks)


def test_the_scale_of_some_rows_is_found_without_a_copy_of_all_series() -> None:
    ordinals = np.arange(1 << 18, dtype=np.int32)
    first_rows, counts = 3 * ordinals.astype(np.int64), np.full(len(ordinals), 3)
    scales = (ordinals // (1 << 17)).astype(np.int8)
    series = BlockSeries.of(ordinals, first_rows, counts, scales, (first_rows, first_rows), {})
    tracemalloc.start()
    found = [series.row_powers(*rows) for rows in ((0, 300), (500_001, 500_002))]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [1.0, 10.0] and most < first_rows.nbytes // 8
    middle = series.row_powers((3 << 17) - 2, (3 << 17) + 1)
    assert isinstance(middle, np.ndarray) and middle.tolist() == [1.0, 1.0, 10.0]
