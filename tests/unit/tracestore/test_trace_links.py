"""Links both ways against the plainest reckoning, in the head, in blocks and across them; hops, limits, SQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from span_batches import SpanRow, trace_id
from standing_spans import asked, standing

from obs.sql.engine import SqlEngine
from obs.tracestore import limits
from obs.tracestore.store import TraceStore

NOW = 1_700_000_000 * 10**9


def link(trace: int | None, span: int | None) -> dict[str, Any]:
    return {
        "trace_id": None if trace is None else trace_id(trace), "span_id": None if span is None else
        span.to_bytes(8, "big"), "trace_state": "", "attributes": '{"why":"batch"}', "dropped": 0, "flags": 1,
    }  # fmt: skip


CHANCE = random.Random(11)
BY_CHANCE = [
    SpanRow(t, s, start=NOW + t, end=NOW + t + 5, links=tuple(
        link(CHANCE.randrange(1, 60), CHANCE.randrange(1, 5)) for _ in range(CHANCE.choice([0, 0, 1, 3]))))
    for t in range(1, 50) for s in (1, 2)
]  # fmt: skip
CHAIN = [SpanRow(1000 + i, 1, start=NOW, links=(link(1001 + i, 1),)) for i in range(5)]
ODD = [SpanRow(2000, 1, start=NOW, links=(link(None, None), link(2001, None), link(2000, 1)))]
ROWS = [*BY_CHANCE, *CHAIN, *ODD]


@pytest.fixture(scope="module", params=["head", "block", "split", "merged"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TraceStore]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "LINK_GROUP_ROWS", 7)
        folder = tmp_path_factory.mktemp("data") / "traces"
        with standing(folder, request.param, ROWS[:60], ROWS[40:]) as store:  # twenty come twice
            yield store


@pytest.fixture(scope="module")
def client(store: TraceStore) -> Iterator[TestClient]:
    with asked(store) as client:
        yield client


def get(client: TestClient, path: str, **params: Any) -> Any:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


Row = tuple[int, int, int, int | None]


def plain() -> set[Row]:
    """(trace, span, linked trace, linked span) of all links."""
    return {
        (r.trace, r.span, int.from_bytes(k["trace_id"], "big"), k["span_id"] and int.from_bytes(k["span_id"], "big"))
        for r in ROWS for k in r.links if k["trace_id"]
    }  # fmt: skip


def numbered(links: Any) -> list[Row]:
    return [
        (int(k["traceId"], 16), int(k["spanId"], 16), int(k["linkedTraceId"], 16),
         k["linkedSpanId"] and int(k["linkedSpanId"], 16)) for k in links
    ]  # fmt: skip


@pytest.mark.parametrize("number", [1, 2, 7, 23, 48, 55, 1003, 2000, 2001])
def test_links_from_and_to_a_trace(client: TestClient, number: int) -> None:
    found = get(client, f"/api/traces/{number:x}/links")
    links = numbered(found["links"])
    wanted = {row for row in plain() if number in (row[0], row[2])}
    assert (len(links), set(links), found["truncated"]) == (len(wanted), wanted, False)
    stored = {r.trace for r in ROWS}
    ends = {number} | {t for row in wanted for t in (row[0], row[2])}
    assert {int(t["traceId"], 16): t["stored"] for t in found["traces"]} == {t: t in stored for t in ends}
    summaries = [t for t in found["traces"] if t["stored"]]
    assert all(t["services"] and t["spans"] in (1, 2) for t in summaries)


def test_a_trace_says_what_links_to_it(client: TestClient) -> None:
    found = get(client, "/api/traces/7")
    assert sorted(numbered(found["linkedFrom"])) == sorted(row for row in plain() if row[2] == 7)
    assert found["linkedFromTruncated"] is False


def test_hops(client: TestClient) -> None:
    for hops, wanted in ((1, {1001, 1002, 1003}), (2, {1000, 1001, 1002, 1003, 1004}), (9, set(range(1000, 1006)))):
        found = get(client, "/api/traces/3ea/links", hops=hops)
        assert {int(t["traceId"], 16) for t in found["traces"]} == wanted
    assert {t["traceId"]: t["stored"] for t in found["traces"]}[f"{1005:032x}"] is False


def test_limits_are_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_LINKED_TRACES", 3)
    found = get(client, "/api/traces/1/links", hops=5)
    assert (len(found["traces"]), found["truncated"]) == (3, True)
    monkeypatch.setattr(limits, "MAX_LINKS", 2)
    found = get(client, "/api/traces/7/links", hops=5)
    assert (len(found["links"]), found["truncated"]) == (2, True)
    monkeypatch.setattr(limits, "LINKS_IN_DETAIL", 1)
    detail = get(client, f"/api/traces/{busiest():x}")
    assert (len(detail["linkedFrom"]), detail["linkedFromTruncated"]) == (1, True)


def busiest() -> int:
    """The stored trace that most links lead to."""
    counts = {t: sum(row[2] == t for row in plain()) for t in range(1, 50)}
    return max(counts, key=counts.__getitem__)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [("77777/links", 404, "77777"), ("zz/links", 400, "trace id"), ("1/links?hops=0", 400, "1 to 10"),
     ("1/links?hops=11", 400, "1 to 10"), ("1/links?hops=x", 400, "hops")],
)  # fmt: skip
def test_faults(client: TestClient, path: str, status: int, said: str) -> None:
    answer = client.get(f"/api/traces/{path}")
    assert (answer.status_code, said in answer.json()["error"]) == (status, True)


def test_sql_sees_each_link_as_a_row(store: TraceStore) -> None:
    sql = SqlEngine([store], store.engine.folder.parent, 256 << 20, 30)
    try:
        rows = sql.query("SELECT DISTINCT trace_id, span_id, linked_trace_id, linked_span_id FROM links").to_pylist()
        hex_rows = {(r["trace_id"], r["span_id"], r["linked_trace_id"], r["linked_span_id"]) for r in rows}
        wanted = {
            (f"{t:032x}", f"{s:016x}", f"{lt:032x}", None if ls is None else f"{ls:016x}") for t, s, lt, ls in plain()
        }
        assert hex_rows == wanted | {(f"{2000:032x}", f"{1:016x}", None, None)}
        (row,) = sql.query(
            "SELECT l.name, l.attributes, s.\"resource.service.name\" AS service FROM links l JOIN spans s "
            f"USING (trace_id, span_id) WHERE l.trace_id = '{1000:032x}'"
        ).to_pylist()  # fmt: skip
        assert row == {"name": "op", "attributes": '{"why":"batch"}', "service": "shop"}
    finally:
        sql.close()


def test_sql_sees_no_links_of_an_empty_store(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces")
    store.open()
    sql = SqlEngine([store], tmp_path, 256 << 20, 30)
    assert sql.query("SELECT count(*) AS n FROM links").to_pylist() == [{"n": 0}]
    sql.close()
    store.close()
