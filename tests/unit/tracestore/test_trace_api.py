"""The four read APIs over one store, in the head and in blocks: shapes, filters, errors."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, TracesData
from span_batches import SpanRow, trace_id
from standing_spans import StandingClock, asked, standing

from obs.tracestore import limits
from obs.wire_messages import message_class

S = 10**9
NOW = 1_700_000_000 * S
MS = 10**6
LONG = f"{1:032x}"
SHORT = f"{2:016x}"


EVENT = {"time_ns": NOW + 5, "name": "exception", "attributes": '{"exception.type":"Boom","n":3}', "dropped": 0}
LINK = {"trace_id": trace_id(2), "span_id": b"\0" * 7 + b"\x09", "trace_state": "a=b", "attributes": "{}"}
BIG = 2**64 + 1
ROWS = [
    SpanRow(BIG, 1, 0, "web", "GET /", NOW, NOW + 200 * MS, kind=2, attributes={"http.route": "/", "n": 1}),
    SpanRow(BIG, 2, 1, "web", "call", NOW + 10 * MS, NOW + 150 * MS, kind=3, links=(LINK,)),
    SpanRow(
        BIG, 3, 2, "cart", "add", NOW + 20 * MS, NOW + 120 * MS, kind=2, status=2, events=(EVENT,),
        attributes={"ok": True, "x": 1.5, "raw": b"\x01", "http.status_code": 500}, resource={"host.name": "h1"},
    ),
    SpanRow(2, 9, 8, "cart", "sweep", NOW + S, NOW + 3 * S, kind=1),
]  # fmt: skip
LONG = f"{BIG:032x}"


@pytest.fixture(scope="module", params=["head", "block", "reopened", "split"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("traces") / "traces"
    clock = StandingClock(NOW + 60 * S)
    with standing(folder, request.param, ROWS[1:], ROWS[:1], clock) as store, asked(store) as client:
        yield client


ENVELOPE = {"Enveloped": (("trace", 1, 11, 1, "Trace"),), "Trace": (("resource_spans", 1, 12, 3, ""),)}
Enveloped = message_class("test.tempo", ENVELOPE, "Enveloped")


def names(resource_spans: list[Any]) -> list[str]:
    return [s["name"] for r in resource_spans for scope in r["scopeSpans"] for s in scope["spans"]]


def get(client: TestClient, path: str, **params: Any) -> Any:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(found: Any) -> list[str]:
    return [t["traceId"].lstrip("0") for t in found["traces"]]


B, T = LONG.lstrip("0"), "2"


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({}, [T, B]),
        ({"order": "oldest"}, [B, T]),
        ({"order": "duration"}, [T, B]),
        ({"order": "shortest"}, [B, T]),
        ({"order": "spans"}, [B, T]),
        ({"order": "errors"}, [B, T]),
        ({"limit": 1}, [T]),
        ({"service": "web"}, [B]),
        ({"service": "cart"}, [T, B]),
        ({"service": "cart", "operation": "add"}, [B]),
        ({"service": "web", "operation": "add"}, []),
        ({"minDuration": "1s"}, [T]),
        ({"maxDuration": "100ms"}, [B]),
        ({"service": "cart", "maxDuration": "100ms"}, [B]),
        ({"status": "error"}, [B]),
        ({"tags": "http.status_code=500"}, [B]),
        ({"tags": ["http.status_code=500", "ok=true"]}, [B]),
        ({"tags": ["http.status_code=500", "http.route=/"]}, []),
        ({"tags": '{"x":"1.5"}'}, [B]),
        ({"tags": "host.name=h1 error=true"}, [B]),
        ({"tags": "span.kind=client"}, [B]),
        ({"tags": "raw=01"}, [B]),
        ({"start": NOW + S}, [T]),
        ({"end": NOW + S - 1}, [B]),
        ({"start": NOW + 15 * MS, "service": "web"}, []),
        ({"start": NOW + 15 * MS, "service": "cart", "end": NOW + 20 * MS}, [B]),
        ({"q": '{ resource.service.name = "cart" && status = error }'}, [B]),
        ({"q": "{ traceDuration > 150ms && traceDuration < 1s }"}, [B]),
        ({"q": '{ rootServiceName = "web" }'}, [B]),
        ({"q": "{ rootName =~ `GET.*` && kind = server }"}, [B]),
        ({"q": "{ span.http.status_code >= 500 || duration > 1s }"}, [T, B]),
        ({"q": "{ .n = nil && name = `call` }"}, [B]),
        ({"q": "{ nestedSetParent < 0 }"}, [T, B]),
        ({"q": "{ nestedSetParent < 0 && kind = server }"}, [B]),
    ],
)
def test_own_search(client: TestClient, params: dict[str, Any], wanted: list[str]) -> None:
    assert ids(get(client, "/api/traces/search", **params)) == wanted


def test_own_search_pages(client: TestClient) -> None:
    first = get(client, "/api/traces/search", limit=1)
    second = get(client, "/api/traces/search", limit=1, next=first["next"])
    assert ids(first) + ids(second) == [T, B]
    assert second["next"] is None


def test_own_summary(client: TestClient) -> None:
    found = get(client, "/api/traces/search", service="web")["traces"]
    assert found == [
        {
            "traceId": LONG, "rootService": "web", "rootName": "GET /", "startNs": NOW, "durationNs": 200 * MS,
            "spans": 3, "errors": 1, "services": ["cart", "web"],
        }
    ]  # fmt: skip


def test_own_detail(client: TestClient) -> None:
    found = get(client, f"/api/traces/{LONG}")
    spans = found["spans"]
    assert [(s["name"], s["depth"], s["selfNs"] // MS) for s in spans] == [
        ("GET /", 0, 60),
        ("call", 1, 40),
        ("add", 2, 100),
    ]
    assert spans[2]["status"] == {"code": "error", "message": ""}
    attributes = {a["key"]: (a["type"], a["value"]) for a in spans[2]["attributes"]}
    assert attributes == {
        "ok": ("bool", True), "x": ("float", 1.5), "raw": ("bytes", "AQ=="), "http.status_code": ("int", 500),
    }  # fmt: skip
    assert spans[2]["events"][0]["attributes"] == {"exception.type": "Boom", "n": 3}
    assert spans[1]["links"][0]["traceId"] == f"{2:032x}"
    assert found["warnings"] == []
    missing = get(client, f"/api/traces/{SHORT}")
    assert ["not stored" in w for w in missing["warnings"]] == [True]
    page = get(client, f"/api/traces/{LONG}", limit=2, offset=0)
    assert ([s["name"] for s in page["spans"]], page["next"], page["totalSpans"]) == (["GET /", "call"], 2, 3)
    refused = client.get(f"/api/traces/{LONG}", params={"limit": 0})
    assert (refused.status_code, "above zero" in refused.json()["error"]) == (400, True)


@pytest.mark.parametrize("id_", [SHORT, f"{2:032x}", "2"])
def test_short_ids_are_found_padded_or_not(client: TestClient, id_: str) -> None:
    assert get(client, f"/jaeger/api/traces/{id_}")["data"][0]["traceID"] == SHORT
    assert get(client, f"/api/traces/{id_}")["traceId"] == f"{2:032x}"


def test_jaeger_names(client: TestClient) -> None:
    assert get(client, "/jaeger/api/services")["data"] == ["cart", "web"]
    assert get(client, "/jaeger/api/services/cart/operations")["data"] == ["add", "sweep"]
    assert get(client, "/jaeger/api/operations", service="web")["data"] == [
        {"name": "GET /", "spanKind": "server"},
        {"name": "call", "spanKind": "client"},
    ]


def test_jaeger_search(client: TestClient) -> None:
    found = get(
        client, "/jaeger/api/traces", service="cart", operation="add", tags='{"error":"true"}', minDuration="50ms",
        maxDuration="1s", start=NOW // 1000, end=NOW // 1000 + 10**6, limit=20, lookback="1h",
    )  # fmt: skip
    (trace,) = found["data"]
    add = next(s for s in trace["spans"] if s["operationName"] == "add")
    assert add["references"] == [{"refType": "CHILD_OF", "traceID": LONG, "spanID": f"{2:016x}"}]
    assert (add["startTime"], add["duration"]) == ((NOW + 20 * MS) // 1000, 100_000)
    tags = {t["key"]: (t["type"], t["value"]) for t in add["tags"]}
    assert tags["http.status_code"] == ("int64", 500)
    assert tags["span.kind"] == ("string", "server")
    assert tags["error"] == ("bool", True)
    assert add["logs"][0]["fields"][0] == {"key": "event", "type": "string", "value": "exception"}
    process = trace["processes"][add["processID"]]
    assert process == {"serviceName": "cart", "tags": [{"key": "host.name", "type": "string", "value": "h1"}]}
    call = next(s for s in trace["spans"] if s["operationName"] == "call")
    assert call["references"][1]["refType"] == "FOLLOWS_FROM"


def test_jaeger_dependencies(client: TestClient) -> None:
    end = NOW // MS + 60_000
    found = get(client, "/jaeger/api/dependencies", endTs=end, lookback=3_600_000)
    assert found["data"] == [{"parent": "web", "child": "cart", "callCount": 1}]
    assert get(client, "/jaeger/api/dependencies", endTs=NOW // MS - 1, lookback=1000)["data"] == []
    edges = get(client, "/api/traces/graph", q="{ status = error }")["edges"]
    assert [(e["parent"], e["child"], e["calls"], e["errors"], e["durationNs"], e["errorRatio"]) for e in edges] == [
        ("web", "cart", 1, 1, 100 * MS, 1.0)
    ]
    assert edges[0]["p50Ns"] == edges[0]["p99Ns"] == pytest.approx(100 * MS, rel=0.016)


def test_tempo_trace(client: TestClient) -> None:
    batches = get(client, f"/tempo/api/traces/{LONG}")["batches"]
    spans = [s for b in batches for scope in b["scopeSpans"] for s in scope["spans"]]
    assert sorted(s["name"] for s in spans) == ["GET /", "add", "call"]
    assert base64.b64decode(spans[0]["traceId"]).hex() == LONG
    assert len(get(client, f"/tempo/api/v2/traces/{LONG}")["trace"]["resourceSpans"]) == len(batches)
    raw = client.get(f"/tempo/api/traces/{LONG}", headers={"Accept": "application/protobuf"})
    data = TracesData.FromString(raw.content)
    (add,) = [s for r in data.resource_spans for sc in r.scope_spans for s in sc.spans if s.name == "add"]
    assert add.status.code == 2
    assert {a.key: a.value.WhichOneof("value") for a in add.attributes} == {
        "ok": "bool_value", "x": "double_value", "raw": "bytes_value", "http.status_code": "int_value",
    }  # fmt: skip
    assert add.events[0].attributes[0].value.string_value == "Boom"


def test_tempo_trace_in_pieces_adds_up_to_the_whole(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> list[Any]:
        found = []
        for version, field in (("", "batches"), ("v2/", "resourceSpans")):
            path, protobuf = f"/tempo/api/{version}traces/{LONG}", {"Accept": "application/protobuf"}
            shown = get(client, path)
            found.append(sorted(names(shown["trace"][field] if version else shown[field])))
            raw = client.get(path, headers=protobuf).content
            resources = Enveloped.FromString(raw).trace.resource_spans if version else ()
            parts = map(ResourceSpans.FromString, resources) if version else TracesData.FromString(raw).resource_spans
            found.append(sorted(s.name for r in parts for scope in r.scope_spans for s in scope.spans))
        return found

    whole = told()
    assert whole == [["GET /", "add", "call"]] * 4
    monkeypatch.setattr(limits, "SPANS_PER_PIECE", 1)
    assert told() == whole


def test_tempo_search(client: TestClient) -> None:
    found = get(client, "/tempo/api/search", q="{ span.http.status_code >= 500 }", start=NOW // S, end=NOW // S + 9)
    (hit,) = found["traces"]
    assert (hit["traceID"], hit["rootServiceName"], hit["rootTraceName"], hit["durationMs"]) == (
        LONG,
        "web",
        "GET /",
        200,
    )
    assert [s["spanID"] for s in hit["spanSets"][0]["spans"]] == [f"{3:016x}"]
    by_tags = get(client, "/tempo/api/search", tags="service.name=cart name=sweep", minDuration="1s", maxDuration="5s")
    assert [t["traceID"] for t in by_tags["traces"]] == [f"{2:032x}"]


def test_tempo_tags(client: TestClient) -> None:
    assert "service.name" in get(client, "/tempo/api/search/tags")["tagNames"]
    scopes = {s["name"]: s["tags"] for s in get(client, "/tempo/api/v2/search/tags")["scopes"]}
    assert scopes["span"] == ["http.route", "http.status_code", "n", "ok", "raw", "x"]
    assert scopes["resource"] == ["host.name", "service.name"]
    assert (scopes["event"], scopes["link"]) == (["exception.type", "n"], [])
    for scope in ("span", "event", "link"):
        found = get(client, "/tempo/api/v2/search/tags", scope=scope)["scopes"]
        assert found == [{"name": scope, "tags": scopes[scope]}]
        assert get(client, "/tempo/api/search/tags", scope=scope)["tagNames"] == scopes[scope]
    assert get(client, "/tempo/api/search/tag/service.name/values")["tagValues"] == ["cart", "web"]
    values = get(client, "/tempo/api/v2/search/tag/span.http.status_code/values")["tagValues"]
    assert values == [{"type": "int", "value": "500"}]
    assert {v["value"] for v in get(client, "/tempo/api/v2/search/tag/kind/values")["tagValues"]} == {
        "server", "client", "internal",
    }  # fmt: skip
    for q in ("({} | rate()) + 1", "({ status = error } | rate()) / ({} | rate())", "{ status = "):
        assert get(client, "/tempo/api/v2/search/tag/service.name/values", q=q)["tagValues"]  # filters nothing
    assert client.get("/tempo/api/echo").text == "echo"
    assert get(client, "/tempo/api/status/buildinfo")["version"]


def test_zipkin(client: TestClient) -> None:
    assert get(client, "/zipkin/api/v2/remoteServices", serviceName="web") == []
    assert get(client, "/zipkin/api/v2/remoteServices") == []
    assert get(client, "/zipkin/api/v2/services") == ["cart", "web"]
    assert get(client, "/zipkin/api/v2/spans", serviceName="cart") == ["add", "sweep"]
    assert {"http.route", "service.name"} <= {*get(client, "/zipkin/api/v2/autocompleteKeys")}
    assert get(client, "/zipkin/api/v2/autocompleteValues", key="http.route") == ["/"]
    assert get(client, "/zipkin/api/v2/autocompleteValues", key="nothing") == []
    end = NOW // MS + 60_000
    found = get(client, "/zipkin/api/v2/traces", serviceName="web", spanName="get /", endTs=end, lookback=90_000)
    assert {s["name"] for s in found[0]} == {"get /", "call", "add"}
    errors = get(client, "/zipkin/api/v2/traces", annotationQuery="error and http.status_code=500", endTs=end)
    assert len(errors) == 1
    trace = get(client, f"/zipkin/api/v2/trace/{LONG}")
    add = next(s for s in trace if s["name"] == "add")
    assert (add["parentId"], add["kind"], add["duration"]) == (f"{2:016x}", "SERVER", 100_000)
    assert add["tags"]["http.status_code"] == "500"
    assert get(client, "/zipkin/api/v2/dependencies", endTs=end) == [
        {"parent": "web", "child": "cart", "callCount": 1, "errorCount": 1}
    ]


@pytest.mark.parametrize("long", ["9" * 400 + ".5s", "9" * 5000 + "s", "9" * 400 + "h"])
def test_durations_past_64_bits_are_longer_than_any_span(client: TestClient, long: str) -> None:
    assert get(client, "/api/traces/search", minDuration=long)["traces"] == []
    assert get(client, "/tempo/api/search", q=f"{{ duration > {long} }}")["traces"] == []


def test_times_keep_their_nanoseconds(client: TestClient) -> None:
    just_after = "2023-11-14T22:13:20.000000001Z"
    found = get(client, "/api/traces/search", start=just_after, end="2023-11-14T22:13:20.5Z", order="oldest")
    assert [t["traceId"] for t in found["traces"]] == [LONG]
    assert get(client, "/api/traces/search", start=just_after, end=just_after)["traces"] == []


def test_full_traces_are_limited_in_all(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SPANS_PER_ANSWER", 3)
    for path in (f"/jaeger/api/traces?traceID={LONG}&traceID=2", f"/zipkin/api/v2/traceMany?traceIds={LONG},2"):
        answer = client.get(path)
        assert (answer.status_code, "more than 3 spans" in answer.text) == (422, True)
    assert client.get(f"/jaeger/api/traces?traceID={LONG}").status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/jaeger/api/traces/zz", 400, "trace id"),
        ("/jaeger/api/traces/" + "0" * 32, 400, "trace id"),
        ("/jaeger/api/traces/" + "a" * 33, 400, "trace id"),
        ("/jaeger/api/traces/" + "ab" * 16, 404, "ab" * 16),
        ("/jaeger/api/traces?service=a&minDuration=fast", 400, "fast"),
        ("/jaeger/api/traces?service=a&tags={bad", 400, "tags"),
        ("/tempo/api/traces/xyz", 400, "trace id"),
        ("/tempo/api/traces/" + "ab" * 16, 404, "ab" * 16),
        ("/tempo/api/search?q={ name = }", 400, "1:10"),
        ("/tempo/api/search?q={ name =~ `(` }", 400, "regex"),
        ("/zipkin/api/v2/trace/" + "ab" * 16, 404, "ab" * 16),
        ("/zipkin/api/v2/dependencies", 400, "endTs"),
        ("/zipkin/api/v2/traces?minDuration=2&maxDuration=1", 400, "2 to 1 µs: maxDuration < minDuration"),
        ("/api/traces/zz", 400, "trace id"),
        ("/api/traces/" + "ab" * 16, 404, "ab" * 16),
        ("/api/traces/search?order=up", 400, "order"),
        ("/api/traces/search?status=bad", 400, "status"),
        ("/api/traces/search?next=bad", 400, "bad"),
        ("/api/traces/search?limit=many", 400, "limit"),
        ("/api/traces/search?start=5&end=4", 400, "end"),
        ("/api/traces/search?start=0001-01-01T00:00:00", 400, "no RFC 3339"),
        ("/api/traces/search?limit=²", 400, "whole number"),
        ("/api/traces/search?next=5_0123456789abcdef-123456789abcdef", 400, "no token"),
        (r'/tempo/api/search?q={ name = "\ud800" }', 400, "1:10"),
        ("/tempo/api/search?q={ name = `a` %26%26 }", 400, "1:17"),
    ],
)
def test_faults_are_told_in_the_apis_own_shape(client: TestClient, path: str, status: int, said: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    if path.startswith("/jaeger"):
        assert answer.json()["errors"][0]["code"] == status
    if path.startswith("/api"):
        assert answer.json()["status"] == "error"
