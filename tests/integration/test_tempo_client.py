"""What Grafana asks of a Tempo data source, in its order, of a real server with spans that the OpenTelemetry SDK sent.

Source: Grafana, the Tempo data source's requests; Traces Drilldown's queries.
"""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from obs_process import ObsProcess, eventually
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

ORDERS = 3


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    with ObsProcess(tmp_path_factory.mktemp("tempo") / "data") as process:
        yield process
        assert "Traceback" not in process.errors()


@pytest.fixture(scope="module")
def trace_ids(obs: ObsProcess) -> list[str]:
    """Orders that a web server takes and a cart handles; the last one fails."""
    tracers = {}
    for service in ("web", "cart"):
        provider = TracerProvider(resource=Resource.create({"service.name": service, "deployment.zone": "eu-1"}))
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{obs.otlp_http}/v1/traces")))
        tracers[service] = provider.get_tracer("shop", "1.2")
    found = []
    for order in range(ORDERS):
        status = {"http.response.status_code": 200}
        root = tracers["web"].start_span("GET /order", kind=SpanKind.SERVER, attributes=status)
        child = tracers["cart"].start_span("add", set_span_in_context(root), SpanKind.SERVER, {"shop.order": order})
        if order == ORDERS - 1:
            child.record_exception(ValueError("sold out"))
            child.set_status(Status(StatusCode.ERROR, "sold out"))
        child.end()
        root.end()
        found.append(f"{root.get_span_context().trace_id:032x}")
    ask = {"q": '{ resource.service.name = "web" }', "limit": 20}
    assert len(eventually(lambda: get(obs, "search", **ask)["traces"], lambda t: len(t) == ORDERS)) == ORDERS
    return found


def raw(obs: ObsProcess, path: str, accept: str = "application/json", **params: Any) -> bytes:
    address = f"{obs.url}/tempo/api/{path}?{urllib.parse.urlencode(params)}"
    with urllib.request.urlopen(urllib.request.Request(address, headers={"Accept": accept}), timeout=30) as answer:
        body: bytes = answer.read()
        return body


def get(obs: ObsProcess, path: str, **params: Any) -> Any:
    return json.loads(raw(obs, path, **params))


def last_minutes() -> dict[str, int]:
    now = int(time.time())
    return {"start": now - 600, "end": now + 60}


def test_the_connection_is_tested(obs: ObsProcess) -> None:
    assert raw(obs, "echo") == b"echo"
    assert get(obs, "status/buildinfo")["version"].startswith("2.")


def test_the_query_builder_lists_tags_and_values(obs: ObsProcess, trace_ids: list[str]) -> None:
    scopes = {s["name"]: s["tags"] for s in get(obs, "v2/search/tags", **last_minutes())["scopes"]}
    assert {"service.name", "deployment.zone"} <= set(scopes["resource"])
    assert {"http.response.status_code", "shop.order"} <= set(scopes["span"])
    assert {"status", "kind", "rootName", "duration"} <= set(scopes["intrinsic"])

    def values(tag: str, **more: Any) -> list[tuple[str, str]]:
        found = get(obs, f"v2/search/tag/{tag}/values", **last_minutes(), **more)["tagValues"]
        return [(v["type"], v["value"]) for v in found]

    assert {("string", "web"), ("string", "cart")} <= set(values("resource.service.name"))
    assert values("resource.service.name", q="{ status = error && span.shop.order >= 0 }") == [("string", "cart")]
    in_zone = '{ resource.service.name = "cart" && resource.deployment.zone = "eu-1" }'
    assert values("name", q=in_zone) == [("string", "add")]
    assert {("keyword", "error"), ("keyword", "unset")} <= set(values("status"))


def test_a_search_and_the_trace_behind_its_first_row(obs: ObsProcess, trace_ids: list[str]) -> None:
    ask = {"q": '{ resource.service.name = "web" } >> { status = error }', "limit": 20, "spss": 10}
    (hit,) = get(obs, "search", **ask, **last_minutes())["traces"]
    assert (hit["traceID"], hit["rootServiceName"], hit["rootTraceName"]) == (trace_ids[-1], "web", "GET /order")
    (span,) = hit["spanSets"][0]["spans"]
    assert span["name"] == "add"
    assert {"key": "status", "value": {"stringValue": "error"}} in span["attributes"]
    body = raw(obs, f"v2/traces/{hit['traceID']}", "application/protobuf", **last_minutes())
    assert body[:1] == b"\x0a"  # TraceByIDResponse: field 1 is the trace
    size, at, shift = 0, 1, 0
    while True:
        size |= (body[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if body[at - 1] < 128:
            break
    spans = [
        s for r in TracesData.FromString(body[at : at + size]).resource_spans for c in r.scope_spans for s in c.spans
    ]
    assert sorted(s.name for s in spans) == ["GET /order", "add"]
    assert [e.name for s in spans for e in s.events] == ["exception"]
    v1 = get(obs, f"traces/{hit['traceID']}")
    assert len(v1["batches"]) == 2


def test_a_search_by_tags_without_traceql(obs: ObsProcess, trace_ids: list[str]) -> None:
    found = get(obs, "search", tags="service.name=cart status.code=error", limit=20, **last_minutes())["traces"]
    assert [t["traceID"] for t in found] == [trace_ids[-1]]


def test_the_panels_of_a_dashboard(obs: ObsProcess, trace_ids: list[str]) -> None:
    def series(path: str, q: str, **more: Any) -> dict[str, Any]:
        found = get(obs, f"metrics/{path}", q=q, **last_minutes(), **more)["series"]
        return {s["promLabels"]: s for s in found}

    tops = '{ nestedSetParent<0 && resource.service.name != "obs" } | count_over_time() by(resource.service.name)'
    roots = series("query_range", tops, step="60s", exemplars=10)
    (web,) = roots.values()
    assert sum(s["value"] for s in web["samples"]) == ORDERS
    assert {e["labels"][0]["value"]["stringValue"] for e in web["exemplars"]} <= set(trace_ids)
    errors = series("query", "{ status = error } | rate() by(resource.service.name)")
    assert list(errors) == ['{resource.service.name="cart"}']
    heat = series("query_range", '{ resource.service.name = "cart" } | histogram_over_time(duration)', step="60s")
    assert sum(p["value"] for s in heat.values() for p in s["samples"]) == ORDERS
    slow = series("query", '{ resource.service.name = "cart" } | quantile_over_time(duration, .5, .99)')
    assert set(slow) == {'{p="0.5"}', '{p="0.99"}'}
    compared = series("query", '{ resource.service.name = "cart" } | compare({ status = error }, 5)')
    assert compared['{__meta_type="selection", span.shop.order="2"}']["value"] == 1
    assert compared['{__meta_type="baseline_total", span.shop.order="nil"}']["value"] == ORDERS - 1


def test_the_structure_tab_selects_fields_of_both_sides(obs: ObsProcess, trace_ids: list[str]) -> None:
    q = (
        "{ nestedSetParent<0 && true } &>> { kind = server && status = error } "
        "| select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)"
    )
    (hit,) = get(obs, "search", q=q, limit=200, spss=20, **last_minutes())["traces"]
    spans = {s["name"]: {a["key"]: a["value"] for a in s["attributes"]} for s in hit["spanSets"][0]["spans"]}
    assert set(spans) == {"GET /order", "add"}
    assert spans["add"]["nestedSetParent"] == spans["GET /order"]["nestedSetLeft"] == {"intValue": "1"}
