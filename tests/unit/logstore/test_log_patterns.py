"""Patterns: what lines have in common, of head and blocks, and what is new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from log_recipes import Record, logs_batch

from obs import warm
from obs.columnar.options import EngineOptions
from obs.logstore.api import router
from obs.logstore.delete_requests import DeleteRequests
from obs.logstore.logql import LogQL
from obs.logstore.patterns.counts import Counts, count
from obs.logstore.patterns.drain import templates
from obs.logstore.patterns.shapes import codes, pieces
from obs.logstore.store import LogStore

S = 10**9
T0 = 1_000_000 * S
USERS = ("bob", "alice", "carol", "dave")


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    warm.load_now("obs.logstore.kernels")


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        ("took 5ms for 10.0.0.1:80", "took <_> for <_>"),
        ('{"status":200,"ok":true}', '{"status":<_>,"ok":true}'),
        ("id=0af7651916cd43dd path=/a/b7/c", "id=<_> path=/a/<_>/c"),
        ("2026-01-02T03:04:05.6Z [main] ünï", "<_> [main] ünï"),
        ("", ""),
        ("   ", "   "),
        ("user <_> left", "user <_> left"),
        ("x" * 2000, "<_>"),
        ("a " + "b " * 1000, "a " + "b " * 511 + "<_>"),
    ],
)
def test_shapes(line: str, shape: str) -> None:
    assert "".join(pieces(line)) == shape


@given(st.lists(st.text(st.sampled_from("ab1:= /,é\0\n"), max_size=12)))
def test_the_kernel_and_the_plain_way_agree(lines: list[str]) -> None:
    of_line, first = codes(pa.array(lines, pa.string()))
    shapes = ["".join(pieces(line)) for line in lines]
    assert len(first) == len(set(shapes))
    for code, shape in zip(of_line.tolist(), shapes, strict=True):
        assert shapes[first[code]] == shape


def test_words_that_differ_become_one_template() -> None:
    lines = [f"user {name} has bought {i} books today" for i, name in enumerate(USERS)]
    numbers, texts = templates(map(pieces, [*lines, "user count is 7", "disk is full"]))
    assert texts == ["user <_> has bought <_> books today", "user count is <_>", "disk is full"]
    assert numbers == [0, 0, 0, 0, 1, 2]


def test_counts_by_stream_and_time_and_back() -> None:
    lines = pa.array(["a 1", "a 2", None, "b", "a 3"])
    found = count(lines, np.array([0, 0, 0, 1, 1], np.int32), np.array([5, 6, 7, 25, 26], np.int64) * S)
    again = Counts.of_table(found.to_table())
    rows = sorted(
        zip((again.patterns[p] for p in again.of), again.streams, again.times_ns // S, again.lines, strict=True)
    )
    assert rows == [("a <_>", 0, 0, 2), ("a <_>", 1, 20, 1), ("b", 1, 20, 1)]


def records(first: int, many: int, text: str) -> list[Record]:
    return [
        Record(T0 + i * S, text.format(i=i, user=USERS[i % 4]), {"service.name": "a" if i % 2 else "b"})
        for i in range(first, first + many)
    ]


@pytest.fixture(params=["head", "blocks", "both", "merged"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestClient]:
    store = LogStore(tmp_path / "logs", EngineOptions(compact_interval_s=3600))
    store.open()
    for at, text in enumerate(
        ("order {i} of {user} was placed", "cache miss for key item:{i}", "order {i} of {user} was placed")
    ):
        store.consume(logs_batch(records(100 * at, 60, text)))
        if request.param != "head" and not (request.param == "both" and at == 2):
            store.flush()
    store.consume(logs_batch([Record(T0 + 290 * S, "disk sda is full", {"service.name": "a"})]))
    if request.param == "merged":
        store.flush()
        store.engine.compact()
    app = FastAPI()
    app.include_router(router(store, LogQL(store), DeleteRequests(store, tmp_path / "deletes.json")))
    yield TestClient(app)
    store.close()


def asked(client: TestClient, query: str = "{}", **more: str) -> dict[str, list[list[int]]]:
    params = {"query": query, "start": str(T0), "end": str(T0 + 300 * S), "step": "100s", **more}
    answer = client.get("/loki/api/v1/patterns", params=params)
    assert answer.status_code == 200, answer.text
    return {found["pattern"]: found["samples"] for found in answer.json()["data"]}


def test_patterns_with_their_trend(client: TestClient) -> None:
    t = T0 // S
    found = asked(client)
    assert found == {
        "order <_> of <_> was placed": [[t, 60], [t + 200, 60]],
        "cache miss for key <_>": [[t + 100, 60]],
        "disk sda is full": [[t + 200, 1]],
    }
    assert next(iter(found)).startswith("order")


def test_patterns_of_some_streams_and_of_filtered_lines(client: TestClient) -> None:
    assert asked(client, '{service_name="b"}')["cache miss for key <_>"] == [[T0 // S + 100, 30]]
    assert set(asked(client, '{} |= "full"')) == {"disk sda is full"}
    assert asked(client, "{} |> `<_>miss<_>`")["cache miss for key <_>"] == [[T0 // S + 100, 60]]


def test_what_is_new_since(client: TestClient) -> None:
    assert set(asked(client, since=str(T0 + 200 * S))) == {"disk sda is full"}


def test_a_number_has_no_patterns(client: TestClient) -> None:
    answer = client.get("/loki/api/v1/patterns", params={"query": "rate({}[1m])"})
    assert (answer.status_code, "computes numbers" in answer.text) == (400, True)
