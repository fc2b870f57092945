"""`/api/v1/export`: an Arrow stream of everything that a selector selects, in batches of whatever size."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from metric_rows import Value, mixed_batch

from obs.model.labels import Labels, make_labels
from obs.tsdb import api, export
from obs.tsdb.promql import PromQL
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.store import MetricStore

T0 = 1_700_000_000_000
NATIVE = Histogram(0, 3.0, 1.5, 0.0, 0.0, {1: 3.0})
FLEET = [make_labels({"__name__": "m", "i": str(i)}) for i in range(5)]
ROWS: list[tuple[Labels, int, Value]] = [(labels, T0 + k, k / 10) for labels in FLEET for k in range(7)]
ROWS += [(labels, T0 + 7, NATIVE) for labels in FLEET[:2]]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    store = MetricStore(tmp_path_factory.mktemp("export") / "metrics")
    store.open()
    store.consume(mixed_batch(ROWS))
    app = FastAPI()
    app.include_router(api.router(store, PromQL(store), version="1", started_ns=0))
    with TestClient(app) as opened:
        yield opened
    store.close()


@pytest.mark.parametrize("rows", [1, 4, 8, 1000])
def test_batches_of_any_size(client: TestClient, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(export, "BATCH_ROWS", rows)
    table = pa.ipc.open_stream(client.get("/api/v1/export", params={"match[]": "m"}).content).read_all()
    found = [(row["labels"], row["t_ms"], row["histogram"] or row["value"]) for row in table.to_pylist()]
    native = {"count": 3.0, "positive_offset": 1, "positive": [3.0]}
    assert [(labels, t) for labels, t, _ in found] == [
        (f'{{"__name__":"m","i":"{dict(labels)["i"]}"}}', t) for labels, t, _ in sorted(ROWS, key=lambda row: row[:2])
    ]
    for (_, _, value), (_, _, wanted) in zip(found, sorted(ROWS, key=lambda row: row[:2]), strict=True):
        if isinstance(wanted, Histogram):
            assert {name: value[name] for name in native} == native
        else:
            assert value == wanted


def test_a_range_and_nothing(client: TestClient) -> None:
    parameters = {"match[]": 'm{i="3"}', "start": (T0 + 1) / 1000, "end": (T0 + 2) / 1000}
    table = pa.ipc.open_stream(client.get("/api/v1/export", params=parameters).content).read_all()
    assert table.column("t_ms").to_pylist() == [T0 + 1, T0 + 2]
    assert pa.ipc.open_stream(client.get("/api/v1/export?match[]=none").content).read_all().num_rows == 0


@pytest.mark.parametrize("query", ["", "match[]=m&match[]=n", "match[]=rate(m[5m])", "match[]=m{", "match[]=m&start=x"])
def test_what_is_wrong_is_told_at_once(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/v1/export?{query}")
    assert answer.status_code == 400
    assert answer.json()["errorType"] == "bad_data"
