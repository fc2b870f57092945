"""Loki's HTTP API: exact shapes, times, errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from log_recipes import NS, Record, logs_batch

from obs.logstore import limits
from obs.logstore.api import router
from obs.logstore.delete_requests import DeleteRequests
from obs.logstore.logql import LogQL
from obs.logstore.params import time_ns
from obs.logstore.store import LogStore

TRACE, SPAN = bytes(range(16)), bytes(range(8))
CART = {"service.name": "cart", "host.name": "a"}
RECORDS = [
    Record(1 * NS, "one", CART, {"thread": "w-1"}, "INFO", TRACE, SPAN),
    Record(2 * NS + 5, '{"status":500}', CART, {"n": 7}, "ERROR"),
    Record(3 * NS, "three", {"service.name": "ad"}, {}, ""),
]


class Client:
    """Asks the app without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://obs") as client:
            return await client.request(method, f"/loki/api/v1/{path}", **more)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        import asyncio

        return asyncio.run(self._ask(method, path, **more))

    def data(self, path: str, **params: Any) -> Any:
        answer = self.ask("GET", path, params={"start": "0", "end": "10", **params})
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "success"
        return answer.json()["data"]


@pytest.fixture(params=["head", "block"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    store = LogStore(tmp_path)
    store.open()
    store.consume(logs_batch(RECORDS))
    if request.param == "block":
        store.flush()
    app = FastAPI()
    app.include_router(router(store, LogQL(store), DeleteRequests(store, tmp_path / "deletes.json")))
    yield Client(app)
    store.close()


def test_streams_carry_metadata(client: Client) -> None:
    data = client.data("query_range", query='{service_name="cart"} |= "one"')
    assert data["resultType"] == "streams"
    assert data["result"] == [
        {
            "stream": {
                "host_name": "a", "service_name": "cart", "detected_level": "info", "severity_text": "INFO",
                "severity_number": "9", "trace_id": TRACE.hex(), "span_id": SPAN.hex(), "thread": "w-1",
            },
            "values": [["1000000000", "one"]],
        }
    ]  # fmt: skip


def test_categorized_labels_are_apart(client: Client) -> None:
    answer = client.ask(
        "POST",
        "query_range",
        data={"query": '{service_name="cart"} | json | status = 500', "start": "0", "end": "10"},
        headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"},
    ).json()["data"]
    assert answer["encodingFlags"] == ["categorize-labels"]
    third = answer["result"][0]["values"][0][2]
    assert third["parsed"] == {"status": "500"}
    assert third["structuredMetadata"]["n"] == "7"


def test_direction_and_limit(client: Client) -> None:
    def lines(**more: Any) -> list[str]:
        return [v[1] for s in client.data("query_range", query="{}", **more)["result"] for v in s["values"]]

    assert lines(limit=1) == ["three"]
    assert lines(limit=1, direction="forward") == ["one"]
    assert lines(direction="forward", start="2", end="3") == ['{"status":500}']


def test_pages_go_on_after_a_cursor(client: Client) -> None:
    first = client.ask("GET", "query_range", params={"query": "{}", "start": "0", "end": "10", "limit": "2"}).json()
    assert first["warnings"] == [f"limit of 2 lines: older ones match too, after={first['data']['next']}"]
    rest = client.data("query_range", query="{}", limit="2", after=first["data"]["next"])
    assert [v[1] for s in rest["result"] for v in s["values"]] == ["one"]
    assert "next" not in rest


def test_the_lines_around_a_line(client: Client) -> None:
    def around(**more: str) -> Any:
        return client.data("context", **{"query": '{host_name="a"}', "time": "2.000000005", **more})

    found = around()
    assert [v[1] for v in found["result"][0]["values"]] == ["one", '{"status":500}']
    assert (found["position"], len(found["result"])) == (1, 1)
    assert [v[1] for v in around(before="0")["result"][0]["values"]] == ['{"status":500}']
    assert around(query="{} | json | status=500 | line_format `x` | drop host_name")["position"] == 1
    lost = client.ask("GET", "context", params={"query": "{}", "time": "77"})
    assert (lost.status_code, lost.text[:18]) == (404, "cannot find a line")
    assert client.ask("GET", "context", params={"query": "{}", "time": "1", "before": "-1"}).status_code == 400


def test_matrix_vector_and_scalar(client: Client) -> None:
    query = "sum by (detected_level) (count_over_time({} [2s]))"
    matrix = client.data("query_range", query=query, start="2", end="4", step="2s")
    assert matrix["resultType"] == "matrix"
    assert {"metric": {"detected_level": "info"}, "values": [[2, "1"]]} in matrix["result"]
    assert {"metric": {"detected_level": "error"}, "values": [[4, "1"]]} in matrix["result"]
    vector = client.data("query", query='rate({service_name="cart"}[4s])', time="4")
    assert vector["result"] == [{"metric": {"host_name": "a", "service_name": "cart"}, "value": [4, "0.5"]}]
    assert client.data("query", query="1 + 1", time="4")["result"] == [4, "2"]


def test_labels_values_and_series(client: Client) -> None:
    assert client.data("labels") == ["host_name", "service_name"]
    assert client.data("label/service_name/values") == ["ad", "cart"]
    assert client.data("label/service_name/values", query='{host_name="a"}') == ["cart"]
    assert client.data("label/thread/values") == ["w-1"]
    assert client.data("series", **{"match[]": '{host_name="a"}'}) == [{"host_name": "a", "service_name": "cart"}]


def test_index_answers(client: Client) -> None:
    stats = client.ask("GET", "index/stats", params={"query": "{}", "start": "0", "end": "10"}).json()
    assert stats["streams"] == 2 and stats["entries"] == 3 and stats["bytes"] > 0
    volume = client.data("index/volume", query='{service_name=~".+"}')
    assert {"metric": {"service_name": "cart"}, "value": [10, "17"]} in volume["result"]
    assert [row["metric"]["service_name"] for row in volume["result"]] == ["cart", "ad"]  # the largest first
    (largest,) = client.data("index/volume", query='{service_name=~".+"}', limit="1")["result"]
    assert largest["metric"] == {"service_name": "cart"}
    by_label = client.data("index/volume", query="{}", aggregateBy="labels")["result"]
    assert [(row["metric"], row["value"][1]) for row in by_label] == [
        ({"service_name": ""}, "22"),
        ({"host_name": ""}, "17"),
    ]
    assert client.ask("GET", "index/volume", params={"query": "{}", "aggregateBy": "x"}).status_code == 400
    steps = client.data("index/volume_range", query="{}", targetLabels="host_name", start="0", end="5", step="5")
    assert {"metric": {"host_name": "a"}, "values": [[5, "17"]]} in steps["result"]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"query": "{a="}, "1:4: cannot parse LogQL"),
        ({}, "cannot answer without parameter 'query'"),
        ({"query": "{}", "start": "yesterday"}, "cannot read start 'yesterday'"),
        ({"query": "{}", "start": "9", "end": "8"}, "the end is before the start"),
        ({"query": "{}", "direction": "up"}, "known values are backward, forward"),
        ({"query": "{}", "limit": "many"}, "cannot read limit 'many'"),
        ({"query": "{}", "limit": "-1"}, "limit -1: it must be above zero"),
        ({"query": ""}, "expected '(', '+' or '-', '{', a number"),
        ({"query": "count_over_time({}[1s])", "start": "0", "end": "9", "step": "0"}, "above zero"),
        ({"query": "count_over_time({}[1s])", "step": "inf"}, "cannot read step 'inf'"),
        ({"query": "{}", "since": "inf"}, "cannot read since 'inf'"),
        ({"query": "{}", "start": "0001-01-01T00:00:00"}, "cannot read start '0001-01-01T00:00:00'"),
    ],
)
def test_faults_are_plain_text(client: Client, params: dict[str, str], says: str) -> None:
    answer = client.ask("GET", "query_range", params=params)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert says in answer.text


def test_too_much_is_said_so(client: Client) -> None:
    assert client.ask("GET", "query_range", params={"query": "{}", "limit": "9999999"}).status_code == 400
    steps = {"query": "count_over_time({}[1s])", "start": "0", "end": "1000000", "step": "1"}
    assert client.ask("GET", "query_range", params=steps).status_code == 422
    ages = {"query": "count_over_time({}[200y])", "start": "0", "end": "2100-01-01T00:00:00Z", "step": "1y"}
    assert client.ask("GET", "query_range", params=ages).status_code == 422


def test_series_times_steps_are_limited(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CELLS", 10)
    params = {"query": "count_over_time({}[1s])", "start": "0", "end": "9", "step": "1"}
    answer = client.ask("GET", "query_range", params=params)
    assert (answer.status_code, answer.text.split(":")[0]) == (422, "cannot build more than 1 series at 10 steps")


def test_the_first_time_of_all_is_the_oldest(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    store.open()
    store.consume(logs_batch([Record(t, str(t)) for t in (-(1 << 63), 0)]))
    found = LogQL(store).records("{}", -(1 << 63), 1, 1).entries
    assert [entry.time_ns for entry in found] == [0]
    store.close()


def test_times_past_64_bits_are_the_last_time(client: Client) -> None:
    for start, end in [("-1e300", "1e300"), ("-" + "9" * 30, "9" * 30)]:
        result = client.data("query_range", query="{}", start=start, end=end)["result"]
        assert sum(len(stream["values"]) for stream in result) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000", 1_700_000_000 * NS),
        ("1700000000000000001", 1_700_000_000_000_000_001),
        ("1700000000.5", 1_700_000_000_500_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000 * NS),
        ("2023-11-14T22:13:20.000001Z", 1_700_000_000 * NS + 1000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000 * NS),
        ("2023-11-14T22:13:20.000000001Z", 1_700_000_000 * NS + 1),
        ("1969-12-31T23:59:59.5Z", -NS // 2),
        ("0", 0),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert time_ns("start", text) == expected


@pytest.mark.parametrize(("direction", "seconds"), [("forward", [0, 3, 6, 9]), ("backward", [9, 6, 3, 0])])
def test_lines_an_interval_apart(tmp_path: Path, direction: str, seconds: list[int]) -> None:
    store = LogStore(tmp_path)
    store.open()
    store.consume(logs_batch(Record(i // 100 * NS, f"{i // 100}", CART) for i in range(1000)))
    app = FastAPI()
    app.include_router(router(store, LogQL(store), DeleteRequests(store, tmp_path / "deletes.json")))
    client = Client(app)

    def lines(**more: str) -> list[str]:
        found = client.data("query_range", query="{}", direction=direction, **more)["result"]
        return [value[1] for stream in found for value in stream["values"]]

    assert lines(interval="2.5s") == [str(s) for s in seconds]
    assert lines(interval="3", limit="2") == [str(s) for s in seconds[:2]]
    assert len(lines(interval="0s", limit="7")) == 7
    store.close()


def test_answers_in_parquet(client: Client) -> None:
    def table(path: str, **params: str) -> pa.Table:
        accept = {"Accept": "application/vnd.apache.parquet"}
        answer = client.ask("GET", path, params={"start": "0", "end": "10", "time": "10", **params}, headers=accept)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.apache.parquet")
        return pq.read_table(pa.BufferReader(answer.content))

    for path in ("query_range", "query"):
        lines = table(path, query='{service_name="cart"}', direction="forward")
        assert lines.schema.names == ["timestamp", "labels", "line"]
        assert lines.column("timestamp").cast(pa.int64()).to_pylist() == [1 * NS, 2 * NS + 5]
        assert lines.column("line").to_pylist() == ["one", '{"status":500}']
        assert dict(lines.column("labels")[0].as_py())["thread"] == "w-1"
    counts = table("query_range", query='count_over_time({service_name="ad"}[5s])', step="5")
    assert counts.column("value").to_pylist() == [1.0]
    assert counts.column("timestamp").cast(pa.int64()).to_pylist() == [5 * NS]
    assert dict(counts.column("labels")[0].as_py()) == {"service_name": "ad"}
    assert table("query", query="vector(3)").to_pydict()["value"] == [3.0]
