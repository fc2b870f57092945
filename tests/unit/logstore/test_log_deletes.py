"""Delete requests over Loki's API, and retention by stream: gone from every answer, from SQL, and from the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from log_recipes import Record, logs_batch
from obs_process import eventually

from obs.errors import QueryError
from obs.logstore.api import router
from obs.logstore.delete_requests import PROCESSED, DeleteRequests
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore
from obs.logstore.stream_retention import StreamRetention, StreamRetentions
from obs.sql.engine import SqlEngine

S = 10**9
NOW = 1_000_000 * S
RECORDS = [
    Record(NOW + i * S, f"user-{i % 3} did {i}", {"service.name": "a" if i % 2 else "b"}, {"n": i}) for i in range(30)
]


class AtRest:
    """A clock that stands still."""

    def now_ns(self) -> int:
        return NOW + 60 * S


@pytest.fixture(params=["head", "blocks", "both"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogStore]:
    made = LogStore(tmp_path / "logs", clock=AtRest())
    made.open()
    made.consume(logs_batch(RECORDS[:15]))
    if request.param != "head":
        made.flush()
    made.consume(logs_batch(RECORDS[15:]))
    if request.param == "blocks":
        made.flush()
    yield made
    made.close()


@pytest.fixture
def client(store: LogStore, tmp_path: Path) -> TestClient:
    app = FastAPI()
    app.include_router(router(store, LogQL(store), DeleteRequests(store, tmp_path / "deletes.json")))
    return TestClient(app)


def lines(store: LogStore, query: str = "{}") -> list[str]:
    entries = LogQL(store).records(query, 0, 1 << 62, 5000, newest_first=False).entries
    return [e.line for e in entries]


def test_a_request_deletes_and_is_listed(client: TestClient, store: LogStore, tmp_path: Path) -> None:
    path = "/loki/api/v1/delete"
    query = '{service_name="a"} |= "user-1"'
    seconds = NOW // S
    answer = client.post(path, params={"query": query, "start": seconds, "end": seconds + 15})
    assert (answer.status_code, answer.text) == (204, "")
    gone = {r.body for i, r in enumerate(RECORDS) if i % 2 and i % 3 == 1 and i <= 15}
    assert gone
    assert lines(store) == [r.body for r in RECORDS if r.body not in gone]
    (listed,) = eventually(lambda: client.get(path).json(), lambda all_: all_[0]["status"] == PROCESSED)
    assert (listed["query"], listed["start_time"], listed["end_time"]) == (query, seconds, seconds + 15)
    assert client.delete(path, params={"request_id": listed["request_id"]}).status_code == 400
    assert client.delete(path, params={"request_id": "none"}).status_code == 404
    assert lines(store) == [r.body for r in RECORDS if r.body not in gone]
    again = DeleteRequests(store, tmp_path / "deletes.json")
    assert [r.query for r in again.all()] == [query]


def test_sql_and_counts_see_no_deleted_rows(store: LogStore, tmp_path: Path) -> None:
    store.delete("{} | n >= 10")
    matrix, _, _ = LogQL(store).range("sum(count_over_time({}[1h]))", NOW + 60 * S, NOW + 60 * S, S)
    assert matrix.values[0, 0] == 10
    with closing(SqlEngine([store], tmp_path, 1 << 28, 30.0)) as sql:
        assert sql.query("SELECT count(*) AS n FROM logs").to_pylist() == [{"n": 10}]


@pytest.mark.parametrize(
    ("params", "cause"),
    [
        ({}, "query"),
        ({"query": "count_over_time({}[1m])"}, "computes numbers"),
        ({"query": "{"}, "cannot parse"),
        ({"query": "{}", "start": "soon"}, "soon"),
    ],
)
def test_bad_requests_delete_nothing(client: TestClient, store: LogStore, params: dict[str, str], cause: str) -> None:
    answer = client.post("/loki/api/v1/delete", params=params)
    assert (answer.status_code, cause in answer.text) == (400, True), answer.text
    assert len(lines(store)) == 30


def test_what_was_deleted_stays_so_over_a_restart(store: LogStore, tmp_path: Path) -> None:
    store.delete('{service_name="b"}')
    store.consume(logs_batch([Record(NOW, "later", {"service.name": "b"})]))
    store.close()
    with closing(LogStore(tmp_path / "logs")) as again:
        again.open()
        again.engine.wait_recovered()
        assert lines(again, '{service_name="b"}') == ["later"]
        assert len(lines(again)) == 16


def test_retention_by_stream(store: LogStore) -> None:
    rules = StreamRetentions(
        store, [StreamRetention('{service_name="a"}', 40.0), StreamRetention("{} |= `user-0`", 55.0)]
    )
    assert rules.run_due() == 2
    kept = [r.body for i, r in enumerate(RECORDS) if not (i % 2 and i <= 20) and not (i % 3 == 0 and i <= 5)]
    assert lines(store) == kept
    assert rules.run_due() == 0
    rules.close()
    with pytest.raises(QueryError, match="computes numbers"):
        StreamRetentions(store, [StreamRetention("rate({}[1m])", 1.0)])
