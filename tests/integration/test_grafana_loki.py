"""The requests that Grafana's Loki data source makes, in its order and with its parameters, to a real server."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import websockets
from obs_process import ObsProcess

BEGAN = time.time_ns() // 10**9 * 10**9 - 120 * 10**9
SPAN = {"start": BEGAN - 10**9, "end": BEGAN + 60 * 10**9}
GRAFANA = {
    "X-Query-Tags": "Source=grafana-lokiexplore-app", "X-Loki-Response-Encoding-Flags": "categorize-labels",
    "X-Scope-OrgID": "fake", "Accept-Encoding": "gzip",
}  # fmt: skip


def push(url: str, lines: list[str], first_ns: int) -> None:
    values = [[str(first_ns + i * 10**9), line, {"pod": f"p-{i % 2}"}] for i, line in enumerate(lines)]
    body = json.dumps({"streams": [{"stream": {"app": "cart", "env": "prod"}, "values": values}]}).encode()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    request = urllib.request.Request(f"{url}/loki/api/v1/push", gzip.compress(body), headers)
    urllib.request.urlopen(request, timeout=30).close()


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    with ObsProcess(tmp_path_factory.mktemp("grafana") / "data") as process:
        push(process.url, [f'{{"level":"{"error" if i % 5 == 0 else "info"}","n":{i}}}' for i in range(19)], BEGAN)
        push(process.url, ["level=warn not json"], BEGAN + 19 * 10**9)
        yield process
        assert "Traceback" not in process.errors()


def ask(obs: ObsProcess, path: str, **params: Any) -> Any:
    url = f"{obs.url}/loki/api/v1/{path}?{urlencode(params, doseq=True)}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=GRAFANA), timeout=60) as answer:
        body = answer.read()
        return json.loads(gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body)


def test_save_and_test(obs: ObsProcess) -> None:
    data = ask(obs, "query", query="vector(1)+vector(1)", time=BEGAN, limit=1000, direction="backward")["data"]
    assert (data["resultType"], data["result"][0]["metric"], data["result"][0]["value"][1]) == ("vector", {}, "2")


def test_the_builder(obs: ObsProcess) -> None:
    assert ask(obs, "labels", **SPAN) == {"status": "success", "data": ["app", "env", "service_name"]}
    assert ask(obs, "label/app/values", **SPAN, query='{env="prod"}')["data"] == ["cart"]
    series = ask(obs, "series", **SPAN, **{"match[]": ['{app="cart"}']})
    assert series["data"] == [{"app": "cart", "env": "prod", "service_name": "cart"}]
    stats = ask(obs, "index/stats", **SPAN, query='{app="cart"}')
    assert (stats["streams"], stats["entries"], set(stats)) == (1, 20, {"streams", "chunks", "entries", "bytes"})
    fields = {f["label"]: f for f in ask(obs, "detected_fields", **SPAN, query='{app="cart"}')["fields"]}
    assert (fields["n"]["type"], fields["n"]["parsers"], fields["pod"]["parsers"]) == ("int", ["json"], None)
    assert {f["label"] for f in ask(obs, "detected_labels", **SPAN)["detectedLabels"]} == {
        "app", "env", "service_name",
    }  # fmt: skip


def test_explore(obs: ObsProcess) -> None:
    """The lines and beside them their volume by level."""
    query = '{app="cart"} |= `` | json | drop __error__, __error_details__'
    data = ask(obs, "query_range", query=query, limit=1000, direction="backward", step="1000ms", **SPAN)["data"]
    assert (data["resultType"], data["encodingFlags"]) == ("streams", ["categorize-labels"])
    (stream,) = data["result"]
    assert stream["stream"] == {"app": "cart", "env": "prod", "service_name": "cart"}
    newest, before = stream["values"][:2]
    assert (newest[1], newest[2].get("parsed")) == ("level=warn not json", None)
    assert before[2]["parsed"] == {"level": "info", "n": "18"}
    assert (before[2]["structuredMetadata"]["pod"], before[2]["structuredMetadata"]["detected_level"]) == (
        "p-0",
        "info",
    )
    volume = f"sum by (level, detected_level) (count_over_time({query} [1m]))"
    data = ask(obs, "query_range", query=volume, step="60000ms", start=BEGAN, end=BEGAN + 60 * 10**9)["data"]
    assert data["resultType"] == "matrix"
    levels = {row["metric"]["detected_level"]: row["values"][-1][1] for row in data["result"]}
    assert levels == {"error": "3", "info": "15", "warn": "1"}


def test_context_both_ways(obs: ObsProcess) -> None:
    """Grafana asks for the lines before and after one by its time, in its stream."""
    at = BEGAN + 10 * 10**9
    for direction, start, end, first in (
        ("backward", at - 7200 * 10**9, at, 9),
        ("forward", at, at + 7200 * 10**9, 10),
    ):
        found = ask(
            obs, "query_range", query='{app="cart",env="prod"}', direction=direction, start=start, end=end, limit=3
        )
        numbers = [json.loads(value[1])["n"] for value in found["data"]["result"][0]["values"]]
        assert numbers == [first + i * (1 if direction == "forward" else -1) for i in range(3)]


def test_live_tail(obs: ObsProcess) -> None:
    async def follow() -> list[str]:
        url = f"ws{obs.url.removeprefix('http')}/loki/api/v1/tail?" + urlencode({"query": '{app="cart"}', "limit": 1})
        async with websockets.connect(url) as tail:
            first = json.loads(await asyncio.wait_for(tail.recv(), 30))
            await asyncio.to_thread(push, obs.url, ["level=info live"], time.time_ns())
            new = json.loads(await asyncio.wait_for(tail.recv(), 30))
        assert new["streams"][0]["stream"]["detected_level"] == "info"
        return [s["values"][0][1] for message in (first, new) for s in message["streams"]]

    assert asyncio.run(follow()) == ["level=warn not json", "level=info live"]
