"""Tempo's metrics, tags filtered by a query, spansets of a search: their JSON, and what is said of bad input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from span_batches import SpanRow
from standing_spans import StandingClock, asked, standing

from obs.tracestore import limits

S = 10**9
NOW = 1_700_000_000 * S
MS = 10**6


EVENT = {"time_ns": NOW + 5, "name": "exception", "attributes": '{"exception.type":"Boom"}', "dropped": 0}
ROWS = [
    SpanRow(1, 1, 0, "web", "GET /", NOW + S, NOW + 3 * S, kind=2, attributes={"http.route": "/", "n": 1}),
    SpanRow(1, 2, 1, "cart", "add", NOW + 2 * S, NOW + 2 * S + 500 * MS, kind=2, status=2, events=(EVENT,)),
    SpanRow(2, 1, 0, "cart", "add", NOW + 12 * S, NOW + 13 * S, kind=2, attributes={"n": 7}),
]  # fmt: skip


@pytest.fixture(scope="module", params=["head", "block", "split"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("traces") / "traces"
    clock = StandingClock(NOW + 60 * S)
    with standing(folder, request.param, ROWS[1:], ROWS[:1], clock) as store, asked(store) as client:
        yield client


def got(client: TestClient, path: str, **params: Any) -> Any:
    answer = client.get(f"/tempo/api/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_range_in_steps(client: TestClient) -> None:
    found = got(
        client, "metrics/query_range", q="{ } | rate() by (resource.service.name)", start=NOW // S, end=NOW // S + 20,
        step="10s",
    )  # fmt: skip
    cart, web = found["series"]
    assert cart["labels"] == [{"key": "resource.service.name", "value": {"stringValue": "cart"}}]
    assert cart["promLabels"] == '{resource.service.name="cart"}'
    times = [str((NOW // S + t) * 1000) for t in (10, 20)]
    assert cart["samples"] == [{"timestampMs": t, "value": 0.1} for t in times]
    assert [s["value"] for s in web["samples"]] == [0.1, 0.0]
    first = {"labels": [{"key": "trace:id", "value": {"stringValue": f"{1:032x}"}}], "value": 0.1}
    assert cart["exemplars"][0] == first | {"timestampMs": str((NOW + 2 * S) // MS)}
    assert len(cart["exemplars"]) == 2


def test_exemplars_as_asked_for(client: TestClient) -> None:
    ask = {"start": NOW, "end": NOW + 20 * S, "step": 10}
    found = got(client, "metrics/query_range", q="{ } | max_over_time(duration)", **ask)
    (series,) = found["series"]
    assert series["labels"] == [{"key": "__name__", "value": {"stringValue": "max_over_time"}}]
    assert [(s["value"]) for s in series["samples"]] == [2.0, 1.0]
    assert {e["value"] for e in series["exemplars"]} <= {2.0, 0.5, 1.0}
    for ways in ({"q": "{ } | rate()", "exemplars": 0}, {"q": "{ } | rate() with (exemplars=false)"}):
        assert got(client, "metrics/query_range", **ask, **ways)["series"][0]["exemplars"] == []
    one = got(client, "metrics/query_range", q="{ } | rate() with (exemplars=1)", **ask)
    assert len(one["series"][0]["exemplars"]) == 1


def test_one_value(client: TestClient) -> None:
    found = got(client, "metrics/query", q="{ } | count_over_time() by (status)", start=NOW // S, end=NOW // S + 20)
    values = {s["labels"][0]["value"]["stringValue"]: s["value"] for s in found["series"]}
    assert values == {"unset": 2.0, "error": 1.0}
    (recent,) = got(client, "metrics/query", q="{ } | count_over_time()", since="5m")["series"]
    assert recent["value"] == 3.0


def test_quantiles_and_buckets_have_labels(client: TestClient) -> None:
    ask = {"start": NOW // S, "end": NOW // S + 20}
    found = got(client, "metrics/query", q="{ } | quantile_over_time(duration, 0.5, 1)", **ask)["series"]
    assert [s["labels"] for s in found] == [[{"key": "p", "value": {"doubleValue": q}}] for q in (0.5, 1.0)]
    assert found[1]["value"] == 2.0
    found = got(client, "metrics/query", q="{ } | histogram_over_time(duration)", **ask)["series"]
    assert [s["labels"][0]["value"]["doubleValue"] for s in found] == [0.5, 1.0, 2.0]


def test_faults_are_told_in_plain_text(client: TestClient) -> None:
    faults = {
        "metrics/query_range?q={}": "it is no metric",
        "metrics/query?q={ status = }|rate()": "1:12",
        "metrics/query": "give q",
        "metrics/query_range?q={}|rate()&step=1ms&start=1&end=100000": "the limit is 11000",
        "metrics/query_range?q={}|rate()&step=0": "above zero",
        "metrics/query_range?q={}|rate()&start=5&end=1": "the end is before the start",
        "search?q={}|rate()": "cannot search for traces by a metric",
        f"metrics/query?q={{}}|topk({'9' * 5000})": "whole number from 1",
        "metrics/query?q={}|compare({ status = error }, 0.5)": "1 to 1000 values",
        "metrics/query?q={}|compare({ status = error }, 1e400)": "1 to 1000 values",
    }
    for path, said in faults.items():
        answer = client.get(f"/tempo/api/{path}")
        assert answer.status_code in (400, 422), path
        assert said in answer.text
        assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "ask", [{"start": "-9223372036", "end": "9223372036"}, {"start": "-1e30", "end": "1e30"}, {"start": 0, "end": 1e30}]
)
def test_a_range_past_all_of_time_counts_every_span(client: TestClient, ask: dict[str, Any]) -> None:
    (whole,) = got(client, "metrics/query", q="{ } | count_over_time()", **ask)["series"]
    (steps,) = got(client, "metrics/query_range", q="{ } | count_over_time()", **ask)["series"]
    assert (whole["value"], sum(s["value"] for s in steps["samples"])) == (3.0, 3.0)


def test_numbers_past_all_numbers(client: TestClient) -> None:
    ask = {"start": NOW // S, "end": NOW // S + 20}
    (rate,) = got(client, "metrics/query_range", q="{ } | rate() with (exemplars=1e400)", **ask)["series"]
    assert len(rate["exemplars"]) == 3
    found = got(client, "metrics/query", q="{ } | compare({ status = error }, 10, -1e400, 1e400)", **ask)["series"]
    assert {s["labels"][0]["value"]["stringValue"] for s in found} >= {"selection", "baseline"}


def test_series_that_come_again_in_another_part_count_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROWS_AT_ONE_TIME", 1)
    monkeypatch.setattr(limits, "MAX_METRIC_SERIES", 2)
    ask = {"q": "{ } | rate() by (name)", "start": NOW // S, "end": NOW // S + 20}
    assert len(got(client, "metrics/query", **ask)["series"]) == 2


def test_what_compare_keeps_is_bounded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = {"q": "{ } | compare({ status = error }, 10)", "start": NOW // S, "end": NOW // S + 20}
    few = got(client, "metrics/query", **ask)["series"]
    monkeypatch.setattr(limits, "MAX_METRIC_CELLS", len(few))
    assert got(client, "metrics/query", **ask)["series"] == few
    answer = client.get("/tempo/api/metrics/query_range", params=ask | {"step": "1s"})
    assert (answer.status_code, "take a longer step" in answer.text) == (422, True)


def test_compare_says_which_attributes_have_more_values(client: TestClient) -> None:
    found = got(client, "metrics/query", q="{ } | compare({ status = error }, 1)", start=NOW // S, end=NOW // S + 20)
    cut = [s["labels"][1] for s in found["series"] if s["labels"][0]["key"] == "__meta_error"]
    assert {"key": "name", "value": {"stringValue": "nil"}} in cut
    names = [s["labels"] for s in found["series"] if s["labels"][1]["key"] == "name"]
    assert len(names) == 5  # the most frequent and the total of each side, and that there are more


def test_spansets_of_a_search(client: TestClient) -> None:
    query = "{ } | by(resource.service.name) | count() > 0 | select(span.n, event:name)"
    found = got(client, "search", q=query, limit=5)["traces"]
    second, first = found
    assert (first["traceID"], first["rootServiceName"], first["durationMs"]) == (f"{1:032x}", "web", 2000)
    web, cart = first["spanSets"]
    assert first["spanSet"] == web
    assert web["attributes"] == [
        {"key": "by(resource.service.name)", "value": {"stringValue": "web"}},
        {"key": "count()", "value": {"intValue": "1"}},
    ]
    (span,) = web["spans"]
    assert (span["spanID"], span["name"], span["durationNanos"]) == (f"{1:016x}", "GET /", str(2 * S))
    assert {a["key"]: a["value"] for a in span["attributes"]} == {
        "n": {"intValue": "1"}, "service.name": {"stringValue": "web"},
    }  # fmt: skip
    assert {"key": "event:name", "value": {"stringValue": "exception"}} in cart["spans"][0]["attributes"]
    assert second["spanSets"][0]["matched"] == 1
    limited = got(client, "search", q="{ }", spss=1)["traces"]
    assert [(len(t["spanSet"]["spans"]), t["spanSet"]["matched"]) for t in limited] == [(1, 1), (1, 2)]


def test_an_order_in_pages(client: TestClient) -> None:
    ask = {"q": "{ } | order by duration", "limit": 1}
    first = got(client, "search", **ask)
    second = got(client, "search", **ask, next=first["next"])
    assert [t["durationMs"] for t in (*first["traces"], *second["traces"])] == [2000, 1000]
    assert "next" not in second


def test_tags_of_matching_spans(client: TestClient) -> None:
    scopes = {s["name"]: s["tags"] for s in got(client, "v2/search/tags", q='{ name = "GET /" }')["scopes"]}
    assert scopes["span"] == ["http.route", "n"]
    assert "event:name" in scopes["intrinsic"]
    of_errors = got(client, "v2/search/tags", scope="span", q="{ status = error }")["scopes"]
    assert of_errors == [{"name": "span", "tags": []}]
    values = got(client, "v2/search/tag/.n/values", q='{ resource.service.name = "cart" }')["tagValues"]
    assert values == [{"type": "int", "value": "7"}]
    assert got(client, "v2/search/tag/event:name/values")["tagValues"] == [{"type": "string", "value": "exception"}]
    assert got(client, "search/tag/event.exception.type/values")["tagValues"] == ["Boom"]
    assert got(client, "v2/search/tag/name/values", q="{ resource.service.name = ", limit=1)["tagValues"] == [
        {"type": "string", "value": "GET /"}
    ]


def test_a_plan_says_what_it_will_do(client: TestClient) -> None:
    answer = client.get("/api/traces/explain", params={"q": '{ name = "a" } >> { status = error } | rate()'})
    assert answer.json() == {
        "query": '{ name = "a" } >> { status = error } | rate()',
        "plan": [
            "join spansets by >>", '  filter spans { name = "a" }', "  filter spans { status = error }",
            "measure rate()",
        ],
    }  # fmt: skip


def test_a_spanset_of_every_span_is_shown_in_part(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SPANSETS_PER_TRACE", 1)
    found = got(client, "search", q="{ } | by(span:id)", limit=5)["traces"]
    assert [len(t["spanSets"]) for t in found] == [1, 1]
