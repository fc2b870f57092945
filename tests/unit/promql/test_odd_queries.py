"""Queries that nest deep, and texts that are no UTF-8: answered, or refused in words; never an internal error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from obs.model.labels import make_labels
from obs.tsdb.api_query import router
from obs.tsdb.promql import PromQL
from obs.tsdb.promql.depth import MAX_DEPTH
from obs.tsdb.promql.scripts.memory import MemorySource

PATHS = ("query", "format_query", "parse_query")


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    source = MemorySource()
    source.add(make_labels({"__name__": "up"}), 60_000, 1.0)
    app = FastAPI()
    app.include_router(router(PromQL(source), now_ms=lambda: 60_500))
    with TestClient(app) as client:
        yield client


DEEP = {
    "chain": lambda n: " or ".join(["up"] * n),
    "parentheses": lambda n: "(" * (n - 1) + "up" + ")" * (n - 1),
    "calls": lambda n: "abs(" * (n - 1) + "up" + ")" * (n - 1),
    "aggregations": lambda n: "sum(" * (n - 1) + "up" + ")" * (n - 1),
    "powers": lambda n: "^".join(["up"] * n),
    "signs": lambda n: "-" * ((n - 1) // 2 * 2) + "up",
    "label_replace": lambda n: "label_replace(" * (n - 1) + "up" + ',"a","b","","")' * (n - 1),
}


@pytest.mark.parametrize("kind", DEEP)
def test_as_deep_as_allowed_works(client: TestClient, kind: str) -> None:
    query = DEEP[kind](MAX_DEPTH - 1)
    answer = client.post("/api/v1/query", data={"query": query})
    assert answer.status_code == 200, answer.text[:300]
    assert [each["value"] for each in answer.json()["data"]["result"]] == [[60.5, "1"]]
    assert client.post("/api/v1/parse_query", data={"query": query}).status_code == 200


@pytest.mark.parametrize("count", [MAX_DEPTH + 2, 3_000])
@pytest.mark.parametrize("kind", DEEP)
def test_deeper_is_refused_in_words(client: TestClient, kind: str, count: int) -> None:
    answer = client.post("/api/v1/query", data={"query": DEEP[kind](count)})
    told = answer.json()
    assert (answer.status_code, told["errorType"]) == (400, "bad_data")
    assert "expression is nested deeper than 600 levels" in told["error"] and len(told["error"]) < 1000


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("query=up{a=%22%ED%A0%80%22}", "1:7: parse error: invalid UTF-8 rune"),
        ("query=up{a=%22\xed\xa0\x80%22}", "1:7: parse error: invalid UTF-8 rune"),
        ("query=%FF", "1:1: parse error: invalid UTF-8 rune"),
        ("query='%5Cud800'", "1:1: parse error: escape sequence is an invalid Unicode code point"),
        ("query='%5CU00110000'", "1:1: parse error: escape sequence is an invalid Unicode code point"),
    ],
)
def test_what_is_no_unicode_is_refused(client: TestClient, path: str, form: str, said: str) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answers = [client.post(f"/api/v1/{path}", content=form.encode("latin-1"), headers=kind)]
    if form.isascii():
        answers.append(client.get(f"/api/v1/{path}?{form}"))
    for answer in answers:
        assert (answer.status_code, answer.json()["errorType"]) == (400, "bad_data")
        assert answer.json()["error"].startswith(f'invalid parameter "query": {said}')


def test_escaped_bytes_that_are_no_unicode_are_values(client: TestClient) -> None:
    def asked(path: str, query: str) -> object:
        answer = client.get(f"/api/v1/{path}", params={"query": query})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    assert asked("query", r"'\xff'") == {"resultType": "string", "result": [60.5, "\ufffd"]}
    assert asked("query", r"up{a='\xff'}") == {"resultType": "vector", "result": []}
    told = client.get("/api/v1/query", params={"query": r"up{a!~'\xff'}"})
    assert told.status_code == 400 and "it is not UTF-8" in told.json()["error"]
    assert asked("format_query", r"up{a='\xff'}") == r'up{a="\xff"}'
    labelled = asked("query", r"label_replace(up, 'a', '\xff', '', '')")
    assert labelled == {
        "resultType": "vector",
        "result": [{"metric": {"__name__": "up", "a": "\ufffd"}, "value": [60.5, "1"]}],
    }


@pytest.mark.parametrize("number", ["0x" + "f" * 400, "0" + "7" * 400, "1" * 400])
def test_numbers_out_of_range_are_refused(client: TestClient, number: str) -> None:
    answer = client.post("/api/v1/query", data={"query": number})
    assert (answer.status_code, answer.json()["errorType"]) == (400, "bad_data")
    assert "1:1: parse error: error parsing number" in answer.json()["error"]


@pytest.mark.parametrize("query", ["up[1y:1ms]", "up[100y:1ms]", "max_over_time(up[1y:1ms])"])
def test_subqueries_of_too_many_steps_are_refused(client: TestClient, query: str) -> None:
    answer = client.post("/api/v1/query", data={"query": query})
    assert (answer.status_code, answer.json()["errorType"]) == (422, "execution")
    assert "too many samples" in answer.json()["error"]


@pytest.mark.parametrize("name", ["time", "timeout", "limit", "lookback_delta"])
def test_parameters_that_are_no_unicode_are_refused(client: TestClient, name: str) -> None:
    answer = client.get(f"/api/v1/query?query=1&{name}=%FF")
    assert (answer.status_code, answer.json()["errorType"]) == (400, "bad_data")


def test_of_several_parameters_the_first_counts_and_the_form_before_the_address(client: TestClient) -> None:
    assert client.get("/api/v1/query?query=1&query=2").json()["data"]["result"] == [60.5, "1"]
    answer = client.post("/api/v1/query?query=1", data={"query": "2"})
    assert answer.json()["data"]["result"] == [60.5, "2"]
