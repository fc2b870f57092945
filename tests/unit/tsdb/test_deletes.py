"""Deleted series: hidden from every way of reading, in heads and blocks, for as long as it takes to drop them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from metric_rows import held, mixed_batch

from obs.columnar.options import EngineOptions
from obs.columnar.tombstones import Tombstone
from obs.model.labels import Labels, Matcher, MatchOp, make_labels
from obs.sql.engine import SqlEngine
from obs.tsdb import api
from obs.tsdb.promql import PromQL
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.store import MetricStore
from obs.tsdb.tombstones import Deleted, decode, encode

T0 = 1_700_000_000_000
A, B, C = (make_labels({"__name__": "m", "s": s}) for s in "abc")
HIST = Histogram(schema=0, count=3.0, sum=9.0, positive={1: 3.0})
OPTIONS = EngineOptions(compact_interval_s=3600.0)
ALL = [Matcher("__name__", MatchOp.EQ, "m")]


def of(labels: Labels) -> list[list[Matcher]]:
    return [[Matcher("s", MatchOp.EQ, dict(labels)["s"])]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricStore]:
    opened = MetricStore(tmp_path / "metrics", OPTIONS)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture(params=["head", "block"])
def filled(store: MetricStore, request: pytest.FixtureRequest) -> MetricStore:
    rows = [(labels, T0 + t, float(t)) for labels in (A, B) for t in range(10)]
    traces = [(A, T0 + 5, 1.0, "one"), (C, T0 + 5, 1.0, "two")]
    store.consume(mixed_batch([*rows, (C, T0, HIST), (C, T0 + 1, HIST)], traces))
    if request.param == "block":
        store.flush()
    return store


def times(store: MetricStore, labels: Labels) -> list[int]:
    return [t - T0 for of_row, t in held(store.select(ALL, T0, T0 + 99)) if of_row == labels]


def counts(store: MetricStore, tmp_path: Path) -> dict[str, int]:
    with closing(SqlEngine([store], tmp_path, 1 << 28, 30.0)) as sql:
        rows = sql.query("SELECT labels['s'] AS s, count(*) AS n FROM metrics GROUP BY ALL").to_pylist()
        series = sql.query("SELECT labels['s'] AS s FROM series").to_pylist()
    return {r["s"]: 0 for r in series} | {r["s"]: r["n"] for r in rows}


def test_a_range_of_one_series(filled: MetricStore, tmp_path: Path) -> None:
    filled.delete(of(A), T0 + 2, T0 + 6)
    assert times(filled, A) == [0, 1, 7, 8, 9]
    assert times(filled, B) == list(range(10))
    assert counts(filled, tmp_path) == {"a": 5, "b": 10, "c": 2}
    assert [labels for labels, _ in filled.exemplars([ALL], T0, T0 + 99)] == [C]
    assert PromQL(filled).query("count_over_time(m{s='a'}[1h])", T0 + 20).values.tolist() == [[5.0]]


def test_every_row_in_several_deletes(filled: MetricStore, tmp_path: Path) -> None:
    """No single delete covers the series, yet nothing of it is left to be listed."""
    for first, last in ((0, 3), (8, 9), (4, 5), (6, 7)):
        assert A in filled.series([ALL])
        filled.delete(of(A), T0 + first, T0 + last)
    assert filled.series([ALL]) == [B, C]
    assert filled.label_values("s") == ["b", "c"]
    assert filled.cardinality().series == 2
    assert counts(filled, tmp_path) == {"b": 10, "c": 2}


def test_what_is_left_of_a_series_in_time(filled: MetricStore) -> None:
    filled.flush()
    filled.delete(of(A), T0, T0 + 6)
    assert filled.series([ALL], T0, T0 + 6) == [B, C]
    assert filled.series([ALL], T0, T0 + 7) == [A, B, C]


def test_histograms_do_not_come_back_under_a_float_of_the_same_value(filled: MetricStore) -> None:
    filled.delete(of(C), T0 + 1, T0 + 1)
    assert list(held(filled.select(of(C)[0], T0, T0 + 9)).values()) == [HIST]
    filled.consume(mixed_batch([(C, T0 + 1, 3.0)]))
    filled.flush()
    kinds = [type(value) for value in held(filled.select(of(C)[0], T0, T0 + 9)).values()]
    assert kinds == [Histogram, bytes]


def test_a_series_with_nothing_but_exemplars(filled: MetricStore, tmp_path: Path) -> None:
    filled.delete(of(C), T0, T0 + 1)
    assert "c" in counts(filled, tmp_path)
    filled.delete(of(C))
    assert "c" not in counts(filled, tmp_path)
    assert filled.exemplars(of(C), T0, T0 + 9) == []


@pytest.mark.parametrize("drop", ["clean", "merge"])
def test_rows_are_dropped_for_good(store: MetricStore, drop: str) -> None:
    for part in range(2):
        rows = [(labels, T0 + 10 * part + t, t / 8) for labels in (A, B, C) for t in range(10)]
        store.consume(mixed_batch(rows, [(B, T0 + part, 1.0, "x")]))
        store.flush()
    store.delete(of(A))
    store.delete(of(B), T0 + 5, T0 + 14)
    before = held(store.select(ALL, T0, T0 + 99))
    assert store.clean() == 2 if drop == "clean" else store.engine.compact() == 1
    assert held(store.select(ALL, T0, T0 + 99)) == before
    with store.view() as view:
        assert sum(block.meta.rows for block in view.blocks) == len(before) == 30
        assert all(A not in _series(block.read("series")) for block in view.blocks)
    assert store.clean() == 0


def _series(table: object) -> list[Labels]:
    return [make_labels(row) for row in table["labels"].to_pylist()]  # type: ignore[index]


def test_all_that_there_is(filled: MetricStore, tmp_path: Path) -> None:
    filled.delete([ALL])
    assert held(filled.select(ALL, T0, T0 + 99)) == {}
    filled.clean()
    with filled.view() as view:
        assert [block.name for block in view.blocks] == []
    filled.consume(mixed_batch([(A, T0, 5.0)]))
    assert times(filled, A) == [0]
    assert counts(filled, tmp_path) == {"a": 1}


@pytest.fixture
def client(filled: MetricStore) -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(api.router(filled, PromQL(filled), version="1", started_ns=0))
    with TestClient(app) as opened:
        yield opened


def test_the_api_as_prometheus_answers(client: TestClient, filled: MetricStore) -> None:
    admin = "/api/v1/admin/tsdb"
    seconds = T0 // 1000
    done = client.post(f"{admin}/delete_series?match[]=m{{s='a'}}&match[]=m{{s='b'}}&start={seconds}&end={seconds}.004")
    assert (done.status_code, done.content) == (204, b"")
    assert (times(filled, A), times(filled, B)) == ([5, 6, 7, 8, 9], [5, 6, 7, 8, 9])
    assert client.put(f"{admin}/delete_series", data={"match[]": "m{s='b'}"}).status_code == 204
    assert times(filled, B) == []
    assert client.post(f"{admin}/delete_series?match[]=nothing_like_it").status_code == 204
    assert [client.request(m, f"{admin}/clean_tombstones").status_code for m in ("POST", "PUT")] == [204, 204]
    assert times(filled, A) == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", "no match[] parameter provided"),
        ("match[]=m{", 'invalid parameter "match[]"'),
        ("match[]=m&start=never", 'invalid parameter "start"'),
    ],
)
def test_what_the_api_refuses(client: TestClient, query: str, error: str) -> None:
    answer = client.post(f"/api/v1/admin/tsdb/delete_series?{query}")
    assert (answer.status_code, answer.json()["errorType"]) == (400, "bad_data")
    assert error in answer.json()["error"]


def test_intervals_against_a_plain_loop() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        raw = [(rng.choice(20, rng.integers(0, 6)).astype(np.uint64), *sorted(rng.integers(0, 30, 2).tolist()))
               for _ in range(rng.integers(0, 6))]  # fmt: skip
        deleted = Deleted.of([Tombstone(i, 1, 0, 1, encode(*one)) for i, one in enumerate(raw)])
        keys, t_ms = rng.integers(0, 25, 200).astype(np.uint64), rng.integers(0, 32, 200)
        expected = [
            any(k in ids and low <= t <= high for ids, low, high in raw)
            for k, t in zip(keys.tolist(), t_ms.tolist(), strict=True)
        ]
        assert deleted.hides(keys, t_ms).tolist() == expected
        until = t_ms + rng.integers(0, 5, 200)
        whole = deleted.hides(keys, t_ms, until)
        all_of = [deleted.hides(np.full(u - t + 1, k), np.arange(t, u + 1)).all()
                  for k, t, u in zip(keys, t_ms, until, strict=True)]  # fmt: skip
        assert not (whole & ~np.array(all_of)).any()


def test_a_payload_and_back() -> None:
    ids, start, end = decode(encode(np.array([9, 3, 3], np.uint64), -(1 << 63), (1 << 63) - 1))
    assert (ids.tolist(), start, end) == ([3, 9], -(1 << 63), (1 << 63) - 1)


def test_a_query_that_began_before(filled: MetricStore) -> None:
    with filled.selection(ALL, T0, T0 + 99) as selection:
        filled.delete([ALL])
        filled.clean()
        assert sum(len(selection.read(part).values) for part in range(len(selection))) == 22


def test_a_delete_of_other_times_leaves_the_first_time_there_is(store: MetricStore) -> None:
    least = -(1 << 63)
    store.consume(mixed_batch([(A, least, 1.0), (B, least, 2.0)], []))
    store.delete([ALL], T0, T0)
    assert len(held(store.select(ALL, least, least))) == 2
    store.delete(of(A), least, least)
    assert [labels for labels, _ in held(store.select(ALL, least, T0))] == [B]
