"""Prometheus's API: envelopes, parameters, errors; by GET and by form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from obs.model.batch import Batch, Signal
from obs.model.build import metrics_batch
from obs.model.labels import labels_id, make_labels
from obs.model.schema import EXEMPLARS
from obs.serving import faults
from obs.tsdb import api
from obs.tsdb.params import unescaped
from obs.tsdb.promql import PromQL
from obs.tsdb.store import MetricStore

T0_S = 1_700_000_000
FLEET = [make_labels({"__name__": f"m{i % 2}", "i": str(i), "a.b": "x"}) for i in range(4)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    store = MetricStore(tmp_path_factory.mktemp("api") / "metrics")
    store.open()
    metadata = [{"metric": m, "type": "gauge", "unit": "s", "help": h} for m in ("m0", "m1") for h in ("old", "new")]
    batch = metrics_batch([(each, T0_S * 1000 + k, float(k)) for each in FLEET for k in range(3)], metadata)
    exemplars = pa.RecordBatch.from_pydict(
        {"series_id": [labels_id(FLEET[0])], "t_ms": [T0_S * 1000 + 1], "value": [0.5], "labels": [[("t", "1")]]},
        schema=EXEMPLARS,
    )
    store.consume(Batch(Signal.METRICS, {**batch.tables, "exemplars": exemplars}))
    app = FastAPI()
    faults.install(app)
    app.include_router(api.router(store, PromQL(store), version="1.2.3", started_ns=0))
    with TestClient(app) as opened:
        yield opened
    store.close()


SERIES_0 = dict(FLEET[0])
ANSWERS: list[tuple[str, Any]] = [
    ("labels", ["__name__", "a.b", "i"]),
    ("labels?match[]=nothing", []),
    ("labels?start=0&end=5", []),
    ("labels?start=2023-11-14T22:13:20Z&end=2023-11-14T22:13:21Z", ["__name__", "a.b", "i"]),
    ("label/i/values", ["0", "1", "2", "3"]),
    ("label/i/values?match[]=m0", ["0", "2"]),
    ("label/i/values?match[]=m0&match[]={i='1'}", ["0", "1", "2"]),
    ("label/U__a_2e_b/values", ["x"]),
    ("label/a.b/values", ["x"]),
    ("label/none/values", []),
    ("label/__name__/values", ["m0", "m1"]),
    ("series?match[]={i='0'}", [SERIES_0]),
    ("series?match[]={i='0'}&start=0&end=1", []),
    ("metadata?metric=m0&limit_per_metric=1", {"m0": [{"type": "gauge", "unit": "s", "help": "new"}]}),
    ("metadata?limit=1&limit_per_metric=1", {"m0": [{"type": "gauge", "unit": "s", "help": "new"}]}),
    ("metadata?metric=none", {}),
    ("metadata?limit=0", {}),
    ("notifications", []),
    ("query_exemplars?query=rate(m1[5m])", []),
    ("query_exemplars?query=sum(rate(m0[5m])) / 2&start=1700000000&end=1700000009", [
        {"seriesLabels": SERIES_0, "exemplars": [{"labels": {"t": "1"}, "value": "0.5", "timestamp": 1700000000.001}]}
    ]),
    ("query_exemplars?query=1", []),
    ("status/walreplay", {"min": 0, "max": 100, "current": 100}),
    ("status/config", {"yaml": ""}),
    ("metadata?metric=m0&limit=-1&limit_per_metric=1", {"m0": [{"type": "gauge", "unit": "s", "help": "new"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "data"), ANSWERS, ids=[path for path, _ in ANSWERS])
def test_answers(client: TestClient, path: str, data: Any) -> None:
    response = client.get(f"/api/v1/{path}")
    assert response.headers["content-type"] == "application/json"
    assert (response.status_code, response.json()) == (200, {"status": "success", "data": data})


ERRORS = [
    ("series", "no match[] parameter provided"),
    ("series?match[]=m0{", 'invalid parameter "match[]": 1:4: parse error: unexpected end of input'),
    ("series?match[]={}", "must contain at least one non-empty matcher"),
    ("series?match[]=rate(m0[5m])", 'invalid parameter "match[]": 1:5: parse error: unexpected "("'),
    ("series?match[]=m0 offset 5m", 'invalid parameter "match[]": 1:4: parse error: unexpected <offset>'),
    ("series?match[]=", 'invalid parameter "match[]": unknown position: parse error: unexpected end of input'),
    ("labels?match[]={}&start=x", 'invalid parameter "start"'),
    ("series?match[]={i=~'('}", "cannot compile regex"),
    (
        "labels?start=abc",
        'invalid parameter "start": invalid time value for \'start\': cannot parse "abc" to a valid timestamp',
    ),
    ("status/tsdb?limit=0", "limit must be a positive number"),
    ("status/tsdb?limit=10001", "limit must not exceed 10000"),
    ("metadata?limit=x", "limit must be a number"),
    ("metadata?limit_per_metric=x", "limit_per_metric must be a number"),
    ("labels?limit=-1", 'invalid parameter "limit": limit must be non-negative'),
    ("series?match[]=m0&limit=x", 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'),
    ("label/%FF/values", 'invalid label name: "\\xff"'),
    ("label/a%FFb/values", 'invalid label name: "a\\xffb"'),
    ("label//values", 'invalid label name: ""'),
    ("query_exemplars?query=m0&start=9&end=1", "end timestamp must not be before start timestamp"),
    ("query_exemplars?query=(", 'invalid parameter "query"'),
]


@pytest.mark.parametrize("selector", ["1", "m0[5m]", "{}"])
def test_names_and_values_blame_no_parameter_for_a_selector(client: TestClient, selector: str) -> None:
    said = [
        client.get(f"/api/v1/{p}?match[]={selector}").json()["error"] for p in ("labels", "label/i/values", "series")
    ]
    assert said[0] == said[1] == said[2].removeprefix('invalid parameter "match[]": ') != said[2]


@pytest.mark.parametrize(("path", "text"), ERRORS)
def test_errors(client: TestClient, path: str, text: str) -> None:
    response = client.get(f"/api/v1/{path}")
    body = response.json()
    assert (response.status_code, body["status"], body["errorType"]) == (400, "error", "bad_data")
    assert text in body["error"]


def test_form(client: TestClient) -> None:
    response = client.post("/api/v1/series", data={"match[]": ["m0", "m1"], "limit": "1"})
    assert response.json() == {"status": "success", "data": [SERIES_0], "warnings": [api.TRUNCATED]}
    assert client.post("/api/v1/labels", data={"match[]": "nothing"}).json()["data"] == []


def test_form_in_parts(client: TestClient) -> None:
    parts = {"match[]": (None, "m0"), "limit": (None, "1"), "file": ("f.txt", "m1")}
    response = client.post("/api/v1/series", files=parts)
    assert response.json() == {"status": "success", "data": [SERIES_0], "warnings": [api.TRUNCATED]}
    body = client.post("/api/v1/query", files={"query": (None, "sum(m1)"), "time": (None, str(T0_S + 1))}).json()
    assert body["data"]["result"] == [{"metric": {}, "value": [T0_S + 1, "4"]}]
    broken = client.post("/api/v1/series", content=b"x", headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert broken.status_code == 400 and "it has no parts with this boundary" in broken.json()["error"]


def test_features_and_blocks(client: TestClient) -> None:
    features = client.get("/api/v1/features").json()["data"]
    assert features["promql_functions"]["start_timestamp"] and features["promql_operators"]["limitk"]
    assert features["promql"]["fill"] and not features["api"]["search"]
    assert client.get("/api/v1/status/tsdb/blocks").json()["data"] == {"blocks": []}


def test_status(client: TestClient) -> None:
    build = client.get("/api/v1/status/buildinfo").json()["data"]
    assert build["version"] == "1.2.3"
    figures = client.get("/api/v1/status/tsdb?limit=1").json()["data"]
    assert figures["headStats"] == {
        "numSeries": 4, "numLabelPairs": 7, "chunkCount": 0, "minTime": T0_S * 1000, "maxTime": T0_S * 1000 + 2,
    }  # fmt: skip
    assert figures["seriesCountByMetricName"] == [{"name": "m0", "value": 2}]
    assert figures["labelValueCountByLabelName"] == [{"name": "i", "value": 4}]
    assert figures["memoryInBytesByLabelName"] == [{"name": "__name__", "value": 4}]
    assert figures["seriesCountByLabelValuePair"] == [{"name": "a.b=x", "value": 4}]
    assert client.get("/api/v1/status/runtimeinfo").json()["data"]["reloadConfigSuccess"] is True
    assert "storage.tsdb.path" in client.get("/api/v1/status/flags").json()["data"]


def test_queries_are_answered_beside(client: TestClient) -> None:
    body = client.get("/api/v1/query", params={"query": "sum(m0)", "time": str(T0_S + 1)}).json()
    assert body["data"]["result"] == [{"metric": {}, "value": [T0_S + 1, "4"]}]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plain", "plain"), ("U__", ""), ("U__a_2e_b", "a.b"), ("U__a__b", "a_b"), ("U___1f600_", "😀"),
        ("U__a_zz_", "U__a_zz_"), ("U__a_2e", "U__a_2e"), ("U___d800_", "U___d800_"), ("U___ffffff_", "U___ffffff_"),
    ],
)  # fmt: skip
def test_unescaped(text: str, name: str) -> None:
    assert unescaped(text) == name


def test_pages_of_other_origins_may_read(client: TestClient) -> None:
    page = {"Origin": "http://grafana.example"}
    for path in ("query?query=1", "labels", "label/i/values", "series", "status/buildinfo"):
        asked = client.options(f"/api/v1/{path}", headers=page)
        assert (asked.status_code, asked.headers["access-control-allow-methods"]) == (204, "GET, POST, OPTIONS")
        assert client.get(f"/api/v1/{path}", headers=page).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in client.get("/api/v1/labels").headers
