"""The query API over HTTP: Prometheus's JSON, by GET and by form, and its errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from obs.model.labels import make_labels
from obs.tsdb.api_query import router
from obs.tsdb.promql import PromQL
from obs.tsdb.promql.scripts.memory import MemorySource

INVALID = "invalid parameter "


@pytest.fixture
def client() -> Iterator[TestClient]:
    source = MemorySource()
    for job in range(3):
        labels = make_labels({"__name__": "requests_total", "job": f"j{job}"})
        for i in range(20):
            source.add(labels, i * 15_000, float(i * job))
    app = FastAPI()
    app.include_router(router(PromQL(source), now_ms=lambda: 60_500))
    with TestClient(app) as client:
        yield client


def test_vector(client: TestClient) -> None:
    query = {"query": 'requests_total{job="j2"}', "time": "60"}
    expected = {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [{"metric": {"__name__": "requests_total", "job": "j2"}, "value": [60, "8"]}],
        },
    }
    assert client.get("/api/v1/query", params=query).json() == expected
    assert client.post("/api/v1/query", data=query).json() == expected


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("1/3", "0.3333333333333333"), ("1e20", "100000000000000000000"), ("1e21", "1e+21"), ("1e-6", "0.000001"),
        ("1e-7", "1e-07"), ("-0", "-0"), ("NaN", "NaN"), ("1/0", "+Inf"), ("-1/0", "-Inf"), ("2.50", "2.5"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_go_writes_them(client: TestClient, query: str, text: str) -> None:
    scalar = client.get("/api/v1/query", params={"query": query}).json()["data"]
    assert scalar == {"resultType": "scalar", "result": [60.5, text]}
    params = {"query": f"vector({query})", "start": "0", "end": "1", "step": "1"}
    matrix = client.get("/api/v1/query_range", params=params).json()["data"]
    assert matrix["result"] == [{"metric": {}, "values": [[0, text], [1, text]]}]


def test_string(client: TestClient) -> None:
    data = client.get("/api/v1/query", params={"query": "'a\"b'", "time": "1"}).json()["data"]
    assert data == {"resultType": "string", "result": [1, 'a"b']}


def test_range(client: TestClient) -> None:
    params = {
        "query": "sum(increase(requests_total[1m]))",
        "start": "1970-01-01T00:01:00Z",
        "end": "90.5",
        "step": "30s",
    }
    body = client.get("/api/v1/query_range", params=params).json()
    assert body["data"] == {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[60, "12"], [90, "12"]]}],
    }


def test_limit_and_stats(client: TestClient) -> None:
    body = client.get("/api/v1/query", params={"query": "requests_total", "limit": "2", "stats": "all"}).json()
    assert len(body["data"]["result"]) == 2
    assert body["warnings"] == ["results truncated due to limit"]
    assert body["data"]["stats"]["samples"]["totalQueryableSamplesPerStep"] == [[60.5, 3]]
    plain = client.get("/api/v1/query", params={"query": "requests_total", "stats": "true"}).json()["data"]["stats"]
    assert plain["samples"]["totalQueryableSamples"] == 3 and not [k for k in plain["samples"] if "PerStep" in k]
    assert set(plain["timings"]) == {
        "evalTotalTime", "resultSortTime", "queryPreparationTime", "innerEvalTime", "execQueueTime", "execTotalTime"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "looked_at", "read"),
    [
        ("requests_total", [3, 3, 3], [3, 3, 3]),
        ("1 + sum(requests_total)", [3, 3, 3], [3, 3, 3]),
        ("rate(requests_total[1m])", [12, 12, 12], [12, 6, 6]),
        ("rate(requests_total[15s]) + requests_total", [6, 6, 6], [6, 6, 6]),
        ("rate(requests_total[1m] @ 60)", [12, 12, 12], [12, 0, 0]),
        ("sum(requests_total @ 60)", [3, 3, 3], [3, 0, 0]),
        ("sum_over_time(requests_total[1m:15s])", [12, 12, 12], [12, 6, 6]),
        ("max_over_time(rate(requests_total[30s])[1m:30s])", [6, 6, 6], [12, 6, 6]),
        ("requests_total{job='none'}", [0, 0, 0], [0, 0, 0]),
        ("vector(1)", [0, 0, 0], [0, 0, 0]),
        ("topk(1, requests_total offset 30s)", [3, 3, 3], [3, 3, 3]),
    ],
)
def test_samples_are_counted_step_by_step(
    client: TestClient, query: str, looked_at: list[int], read: list[int]
) -> None:
    params = {"query": query, "start": "90", "end": "150", "step": "30", "stats": "all"}
    samples = client.get("/api/v1/query_range", params=params).json()["data"]["stats"]["samples"]
    assert samples["totalQueryableSamplesPerStep"] == [[90 + 30 * i, n] for i, n in enumerate(looked_at)]
    assert samples["samplesReadPerStep"] == [[90 + 30 * i, n] for i, n in enumerate(read)]
    assert (samples["totalQueryableSamples"], samples["samplesRead"]) == (sum(looked_at), sum(read))


@pytest.mark.parametrize(("query", "count"), [("requests_total[1m]", 12), ("requests_total[1m:30s]", 6)])
def test_samples_of_a_matrix_are_counted(client: TestClient, query: str, count: int) -> None:
    data = client.get("/api/v1/query", params={"query": query, "time": "120", "stats": "all"}).json()["data"]
    assert data["stats"]["samples"]["totalQueryableSamplesPerStep"] == [[120, count]]


@pytest.mark.parametrize(
    ("path", "params", "status", "kind", "message"),
    [
        ("query", {"query": "rate(x)"}, 400, "bad_data", 'invalid parameter "query": 1:6: parse error: expected type'),
        ("query", {}, 400, "bad_data", 'invalid parameter "query": 1:1: parse error: no expression found in input'),
        ("query", {"query": "x", "time": "z"}, 400, "bad_data", INVALID + '"time": invalid time value'),
        ("query", {"query": "x", "timeout": "z"}, 400, "bad_data", 'invalid parameter "timeout": cannot parse "z"'),
        ("query", {"query": "x", "limit": "-1"}, 400, "bad_data", 'invalid parameter "limit"'),
        ("query", {"query": "requests_total + on () requests_total"}, 422, "execution", "found duplicate series"),
        ("query", {"query": "requests_total", "timeout": "0.000"}, 400, "bad_data", INVALID + '"timeout": time'),
        ("query", {"query": "requests_total", "lookback_delta": "z"}, 400, "bad_data", "error parsing lookback delta"),
        ("query_range", {"query": "x", "start": "1", "end": "0", "step": "1"}, 400, "bad_data", INVALID + '"end"'),
        ("query_range", {"query": "x", "start": "0", "end": "1", "step": "0"}, 400, "bad_data", INVALID + '"step"'),
        ("query_range", {"query": "x", "start": "0", "end": "1"}, 400, "bad_data", INVALID + '"step"'),
        ("query_range", {"query": "x[1m]", "start": "0", "end": "1", "step": "1"}, 400, "bad_data", INVALID),
        ("query_range", {"query": "x", "start": "0", "end": "99999", "step": "1"}, 400, "bad_data", "exceeded maximum"),
    ],
)  # fmt: skip
def test_errors(client: TestClient, path: str, params: dict[str, str], status: int, kind: str, message: str) -> None:
    answer = client.get(f"/api/v1/{path}", params=params)
    body = answer.json()
    assert (answer.status_code, body["status"], body["errorType"]) == (status, "error", kind)
    assert body["error"].startswith(message)


@pytest.mark.parametrize(("lookback", "found"), [("", 1), ("1s", 0), ("15s", 1), ("0", 1), ("-5", 1)])
def test_a_lookback_that_is_not_above_zero_is_the_servers_own(client: TestClient, lookback: str, found: int) -> None:
    query = {"query": 'requests_total{job="j2"}', "time": "299", "lookback_delta": lookback}
    assert len(client.get("/api/v1/query", params=query).json()["data"]["result"]) == found


def test_format_and_parse(client: TestClient) -> None:
    formatted = client.get("/api/v1/format_query", params={"query": "sum(a)by(x)/b"}).json()
    assert formatted == {"status": "success", "data": "sum by (x) (a) / b"}
    tree = client.post("/api/v1/parse_query", data={"query": "a offset 1m"}).json()["data"]
    assert (tree["type"], tree["name"], tree["offset"]) == ("vectorSelector", "a", 60_000)
