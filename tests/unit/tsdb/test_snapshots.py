"""Snapshots through the API: a data folder of their own, with or without what is in no block yet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from obs.model.build import metrics_batch
from obs.model.labels import make_labels
from obs.tsdb import api
from obs.tsdb.promql import PromQL
from obs.tsdb.store import MetricStore

LABELS = make_labels({"__name__": "m"})


def held(folder: Path) -> list[float]:
    """The values in a store's folder."""
    store = MetricStore(folder)
    store.open()
    try:
        return store.select((), 0, 10_000).values.tolist()
    finally:
        store.close()


@pytest.mark.parametrize(("query", "values"), [("", [1.0, 2.0]), ("?skip_head=true", [1.0])])
def test_a_snapshot_opens_as_a_store(tmp_path: Path, query: str, values: list[float]) -> None:
    store = MetricStore(tmp_path / "metrics")
    store.open()
    store.consume(metrics_batch([(LABELS, 1000, 1.0)]))
    store.flush()
    store.consume(metrics_batch([(LABELS, 2000, 2.0)]))
    app = FastAPI()
    app.include_router(api.router(store, PromQL(store), version="1", started_ns=0))
    with TestClient(app) as client:
        body = client.post(f"/api/v1/admin/tsdb/snapshot{query}").json()
        refused = client.post("/api/v1/admin/tsdb/snapshot?skip_head=perhaps")
        assert client.get("/api/v1/admin/tsdb/snapshot").status_code == 405
    store.close()
    assert body["status"] == "success"
    name = body["data"]["name"]
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{16}", name)
    assert held(tmp_path / "snapshots" / name / "metrics") == values
    assert (refused.status_code, refused.json()["errorType"]) == (400, "bad_data")
