"""Jaeger's API beyond a plain search: several ids, warnings, large traces in pieces, OTLP transformed, v3 in OTLP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from span_batches import SpanRow, spans_batch, trace_id
from standing_spans import StandingClock, asked, standing

from obs import otlp
from obs.model.batch import Signal
from obs.tracestore import api, limits
from obs.tracestore.store import TraceStore

S, MS = 10**9, 10**6
NOW = 1_700_000_000 * S
LONG = 2**64 + 1
LINK = {"trace_id": trace_id(2), "span_id": b"\0" * 7 + b"\x09", "trace_state": "a=b", "attributes": '{"why":"retry"}'}
EVENT = {"time_ns": NOW + 5, "name": "exception", "attributes": '{"n":[1,"a"],"big":9007199254740993}', "dropped": 1}
ROWS = [
    SpanRow(LONG, 1, 0, "web/eu", "GET /", NOW, NOW + 200 * MS, kind=2, attributes={"n": 2**60, "ok": True}),
    SpanRow(LONG, 2, 1, "cart", "add", NOW + 10 * MS, NOW + 150 * MS, kind=0, status=2, links=(LINK,), events=(EVENT,),
            attributes={"raw": b"\x01", "x": 1.5}, resource={"host.name": "h1"}),
    SpanRow(2, 9, 8, "cart", "sweep", NOW + S, NOW + 3 * S),
    SpanRow(3, 1, 2, "cart", "loop", NOW + 5 * S, NOW + 4 * S),
    SpanRow(3, 2, 1, "cart", "loop", NOW + 6 * S, NOW + 7 * S),
]  # fmt: skip


@pytest.fixture(scope="module", params=["head", "block", "split"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("traces") / "traces"
    clock = StandingClock(NOW + 60 * S)
    with standing(folder, request.param, ROWS[1:], ROWS[:1], clock) as store, asked(store) as client:
        yield client


def get(client: TestClient, path: str, **params: Any) -> Any:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_names_with_a_slash_and_envelopes(client: TestClient) -> None:
    assert get(client, "/jaeger/api/services") == {
        "data": ["cart", "web/eu"], "total": 2, "limit": 0, "offset": 0, "errors": None,
    }  # fmt: skip
    assert get(client, "/jaeger/api/services/web%2Feu/operations")["data"] == ["GET /"]
    kinds = get(client, "/jaeger/api/operations", service="cart")["data"]
    assert {"name": "add", "spanKind": ""} in kinds
    assert get(client, "/jaeger/api/operations", service="web/eu", spanKind="server")["total"] == 1
    assert get(client, "/jaeger/api/operations", service="web/eu", spanKind="client")["data"] == []


def test_several_ids_and_those_not_found(client: TestClient) -> None:
    found = get(client, "/jaeger/api/traces", traceID=["2", f"{LONG:032x}", "2", "77"])
    assert [t["traceID"] for t in found["data"]] == [f"{2:016x}", f"{LONG:032x}"]
    assert found["errors"] == [{"msg": "trace not found", "traceID": f"{0x77:016x}"}]
    assert found["total"] == 0
    missing = client.get("/jaeger/api/traces/77")
    assert missing.status_code == 404
    assert missing.json() == {
        "data": None, "total": 0, "limit": 0, "offset": 0,
        "errors": [{"code": 404, "msg": "trace not found", "traceID": "77"}],
    }  # fmt: skip


def test_values_that_json_would_round_are_text(client: TestClient) -> None:
    (trace,) = get(client, f"/jaeger/api/traces/{LONG:032x}", raw="true")["data"]
    root = next(s for s in trace["spans"] if s["operationName"] == "GET /")
    assert {"key": "n", "type": "int64", "value": str(2**60)} in root["tags"]
    assert {"key": "ok", "type": "bool", "value": True} in root["tags"]
    add = next(s for s in trace["spans"] if s["operationName"] == "add")
    assert {"key": "raw", "type": "binary", "value": "AQ=="} in add["tags"]
    assert add["references"][1] == {"refType": "FOLLOWS_FROM", "traceID": f"{2:016x}", "spanID": f"{9:016x}"}
    fields = {f["key"]: (f["type"], f["value"]) for f in add["logs"][0]["fields"]}
    assert fields["n"] == ("string", '[1,"a"]')
    assert fields["big"] == ("int64", "9007199254740993")
    assert (root["warnings"], trace["warnings"]) == (None, None)


def test_odd_spans_are_told(client: TestClient) -> None:
    (partial,) = get(client, "/jaeger/api/traces/2")["data"]
    assert partial["spans"][0]["warnings"] == [
        f"its parent span {8:016x} is not stored; it stands at the top of the tree"
    ]
    assert partial["warnings"] == ["1 spans name a parent that is not stored; they stand at the top of the tree"]
    assert get(client, "/api/traces/2")["missingParents"] == [f"{8:016x}"]
    (loop,) = get(client, "/jaeger/api/traces/3")["data"]
    first, second = sorted(loop["spans"], key=lambda s: int(s["startTime"]))
    assert (first["duration"], second["warnings"]) == (0, None)
    assert first["warnings"] == [
        "it is its own ancestor; the tree is cut above it", "it ends before it starts; its duration counts as 0",
    ]  # fmt: skip


def test_clocks_that_disagree_are_adjusted_unless_raw(tmp_path: Path) -> None:
    event = {"time_ns": NOW - 5 * S, "name": "e", "attributes": "{}", "dropped": 0}
    hosts = [{"host.name": "a"}, {"host.name": "b"}]
    store = TraceStore(tmp_path / "traces")
    store.open()
    store.consume(
        spans_batch(
            SpanRow(9, 1, 0, "web", "GET", NOW, NOW + S, 3, resource=hosts[0]),
            SpanRow(9, 2, 1, "cart", "add", NOW - 5 * S, NOW - 5 * S + 200 * MS, 2, resource=hosts[1], events=(event,)),
        )
    )
    app = FastAPI()
    app.include_router(api.router(store))
    with TestClient(app) as client:
        sent, shifted = (get(client, "/jaeger/api/traces/9", raw=raw)["data"][0]["spans"] for raw in ("true", "false"))
        before, after = (next(s for s in spans if s["operationName"] == "add") for spans in (sent, shifted))
        assert (before["startTime"], before["warnings"]) == ((NOW - 5 * S) // 1000, None)
        assert NOW // 1000 <= after["startTime"] <= (NOW + S) // 1000
        assert after["logs"][0]["timestamp"] == after["startTime"]
        assert "clock skew" in after["warnings"][0]
        found = [get(client, "/jaeger/api/v3/traces/9", rawTraces=raw)["result"] for raw in ("true", "false")]
        starts = [sorted(int(s["startTimeUnixNano"]) for r in f["resourceSpans"] for s in r["scopeSpans"][0]["spans"])
                  for f in found]  # fmt: skip
        assert (starts[0][0], starts[1][0]) == (NOW - 5 * S, NOW)
    store.close()


def test_pretty_print_is_the_same_with_four_blanks(client: TestClient) -> None:
    path = f"/jaeger/api/traces/{LONG:032x}"
    pretty = client.get(path, params={"prettyPrint": "true"})
    assert '\n    "data": [' in pretty.text
    assert pretty.json() == get(client, path)
    assert client.get(path, params={"prettyPrint": "false"}).text == client.get(path).text


def test_large_answers_come_in_pieces_and_say_the_same(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [f"/jaeger/api/traces?traceID={LONG:032x}&traceID=3", f"/jaeger/api/v3/traces/{LONG:032x}"]
    whole = [client.get(path).json() for path in paths]
    monkeypatch.setattr(limits, "SPANS_PER_PIECE", 1)
    answers = [client.get(path) for path in paths]
    assert ["content-length" in a.headers for a in answers] == [False, False]
    assert answers[0].json() == whole[0]
    spans = [s["name"] for r in answers[1].json()["result"]["resourceSpans"] for s in r["scopeSpans"][0]["spans"]]
    assert spans == ["GET /", "add"]


def test_a_search_may_leave_its_service_out(client: TestClient) -> None:
    found = get(client, "/jaeger/api/traces", tags='{"raw":"01"}', start=NOW // 1000, end=NOW // 1000 + 10**6)
    assert [t["traceID"] for t in found["data"]] == [f"{LONG:032x}"]
    bad = client.get("/jaeger/api/traces", params={"service": "cart", "minDuration": "2s", "maxDuration": "1s"})
    assert bad.json()["errors"][0] == {"code": 400, "msg": "'maxDuration' should be greater than 'minDuration'"}


def test_there_is_no_archive(client: TestClient) -> None:
    answer = client.post(f"/jaeger/api/archive/{LONG:032x}")
    assert answer.status_code == 500
    assert answer.json()["errors"] == [{"code": 500, "msg": "archive span storage was not configured"}]


def test_dependencies_of_one_service(client: TestClient) -> None:
    end = NOW // MS + 60_000
    edge = {"parent": "web/eu", "child": "cart", "callCount": 1}
    assert get(client, "/jaeger/api/dependencies", endTs=end, lookback=90_000, service="cart")["data"] == [edge]
    assert get(client, "/jaeger/api/dependencies", endTs=end, lookback=90_000, service="other")["data"] == []


def test_transform_shows_otlp_without_storing_it(client: TestClient) -> None:
    spans = [{"traceId": f"{t:032x}", "spanId": f"{5:016x}", "name": "op", "startTimeUnixNano": str(NOW + t),
              "endTimeUnixNano": str(NOW + S), "kind": 2} for t in (0xAA, 0xAB)]  # fmt: skip
    body = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "up"}}]},
                               "scopeSpans": [{"spans": spans}]}]}  # fmt: skip
    found = client.post("/jaeger/api/transform", json=body).json()["data"]
    assert [t["traceID"] for t in found] == [f"{0xAA:016x}", f"{0xAB:016x}"]
    assert found[0]["processes"] == {"p1": {"serviceName": "up", "tags": []}}
    assert client.get("/jaeger/api/traces/aa").status_code == 404
    broken = client.post("/jaeger/api/transform", content=b"{")
    assert (broken.status_code, broken.json()["errors"][0]["code"]) == (400, 400)
    assert client.post("/jaeger/api/transform", content=b"{}").json()["data"] == []


V3 = "/jaeger/api/v3"
RANGE = {"query.start_time_min": "2023-11-14T22:13:20Z", "query.start_time_max": "2023-11-14T22:13:21.5Z"}


def names(found: Any) -> list[str]:
    return sorted(
        s["name"] for r in found["result"]["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]
    )


def test_v3_names(client: TestClient) -> None:
    assert get(client, f"{V3}/services") == {"services": ["cart", "web/eu"]}
    found = get(client, f"{V3}/operations", service="cart")["operations"]
    assert found == [{"name": n, "spanKind": "internal"} for n in ("add", "loop", "sweep")]
    assert get(client, f"{V3}/operations", service="web/eu", span_kind="client") == {"operations": []}
    calls = get(client, f"{V3}/dependencies", startTime="2023-11-14T22:13:20Z", endTime="2023-11-14T23:13:20Z")
    assert calls == {"dependencies": [{"parent": "web/eu", "child": "cart", "callCount": "1"}]}


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        (RANGE, ["GET /", "add", "sweep"]),
        ({**RANGE, "query.service_name": "web/eu"}, ["GET /", "add"]),
        ({**RANGE, "query.serviceName": "cart", "query.operationName": "sweep"}, ["sweep"]),
        ({**RANGE, "query.attributes": '{"raw":"01"}'}, ["GET /", "add"]),
        ({**RANGE, "query.duration_min": "1s"}, ["sweep"]),
        ({**RANGE, "query.durationMax": "180ms"}, ["GET /", "add"]),
        ({**RANGE, "query.num_traces": "1"}, ["sweep"]),
        ({"query.start_time_min": "2023-11-15T00:13:21+02:00", "query.searchDepth": "1"}, ["loop", "loop"]),
    ],
)
def test_v3_search(client: TestClient, params: dict[str, str], wanted: list[str]) -> None:
    assert names(get(client, f"{V3}/traces", **params)) == wanted
    posted = {k.removeprefix("query."): v for k, v in params.items()}
    assert names(client.post(f"{V3}/traces", json={"query": posted}).json()) == wanted


def test_v3_trace_is_the_otlp_that_was_sent(client: TestClient) -> None:
    found = get(client, f"{V3}/traces/{LONG:032x}")["result"]
    body = otlp.json_to_protobuf(Signal.TRACES, json.dumps(found).encode())
    read = TracesData.FromString(body)
    (add,) = [s for r in read.resource_spans for sc in r.scope_spans for s in sc.spans if s.name == "add"]
    assert {a.key: a.value.WhichOneof("value") for a in add.attributes} == {"raw": "bytes_value", "x": "double_value"}
    assert (add.parent_span_id.hex(), add.kind, add.status.code) == (f"{1:016x}", 0, 2)
    assert add.links[0].attributes[0].value.string_value == "retry"
    assert add.events[0].dropped_attributes_count == 1
    values = [v.int_value or v.string_value for v in add.events[0].attributes[0].value.array_value.values]
    assert values == [1, "a"]


def test_v3_summaries(client: TestClient) -> None:
    found = get(client, f"{V3}/trace-summaries", **RANGE)["summaries"]
    assert [s["traceId"] for s in found] == [f"{2:032x}", f"{LONG:032x}"]
    assert found[1] == {
        "traceId": f"{LONG:032x}", "rootServiceName": "web/eu", "rootOperationName": "GET /",
        "minStartTimeUnixNano": str(NOW), "maxEndTimeUnixNano": str(NOW + 200 * MS), "spanCount": 2,
        "errorSpanCount": 1, "orphanSpanCount": 0,
        "services": [
            {"name": "cart", "spanCount": 1, "errorSpanCount": 1},
            {"name": "web/eu", "spanCount": 1, "errorSpanCount": 0},
        ],
    }  # fmt: skip
    assert found[0]["orphanSpanCount"] == 1
    assert get(client, f"{V3}/trace-summaries", **{"query.serviceName": "none"}) == {"summaries": []}


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/traces/zz", 400, "trace id"),
        ("/traces/" + "ab" * 16, 404, "No traces found"),
        ("/traces?query.service_name=none", 404, "No traces found"),
        ("/traces?query.start_time_min=yesterday", 400, "query.startTimeMin"),
        ("/traces?query.duration_min=fast", 400, "fast"),
        ("/traces?query.attributes={bad", 400, "tags"),
        ("/traces?query.search_depth=x", 400, "query.search_depth"),
        ("/operations", 400, "service"),
    ],
)
def test_v3_faults(client: TestClient, path: str, status: int, said: str) -> None:
    answer = client.get(V3 + path)
    error = answer.json()["error"]
    assert (answer.status_code, error["httpCode"], said in error["message"]) == (status, status, True)


def test_v3_posted_faults(client: TestClient) -> None:
    for body in (b"{", b"[]", b'{"query": 5}', b"{}"):
        assert client.post(f"{V3}/traces", content=body).status_code == 400
