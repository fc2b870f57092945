"""The request sequences of Jaeger's UI and of Grafana's Jaeger data source, after a shop's SDKs have sent traces.

Each list is what the client asks, in order, with what it reads of the answers. Source: jaeger-ui, src/api (jaeger.ts,
v3/client.ts) and Monitor/ServicesView; Grafana, pkg/tsdb/jaeger (client.go, grpc_client.go).
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest
from obs_process import ObsProcess, eventually
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode


class Shop:
    """Two services of the OpenTelemetry SDK: an order that calls the cart and fails, and a follow-up linked to it."""

    def __init__(self, obs: ObsProcess) -> None:
        self.web, self.cart = (self._tracer(obs, name) for name in ("web/eu", "cart"))
        tracer, user = self.web, {"user.id": "u7"}
        with (
            tracer.start_as_current_span("place order", kind=SpanKind.SERVER, attributes=user) as root,
            tracer.start_as_current_span("call cart", kind=SpanKind.CLIENT),
        ):
            self._fail()
        context = root.get_span_context()
        later = self.cart.start_span("settle", links=[Link(context)])
        later.end()
        self.later = f"{later.get_span_context().trace_id:032x}"
        self.order = f"{context.trace_id:032x}"

    def _fail(self) -> None:
        with self.cart.start_as_current_span("add", kind=SpanKind.SERVER) as span:
            span.set_attribute("http.status_code", 500)
            span.set_status(Status(StatusCode.ERROR, "full"))
            span.record_exception(ValueError("full"))

    def _tracer(self, obs: ObsProcess, service: str) -> trace.Tracer:
        provider = TracerProvider(resource=Resource.create({"service.name": service, "host.name": "h1"}))
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{obs.otlp_http}/v1/traces")))
        return provider.get_tracer("shop", "1.2")


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    with ObsProcess(tmp_path_factory.mktemp("jaeger") / "data") as process:
        yield process
        assert "Traceback" not in process.errors()


@pytest.fixture(scope="module")
def shop(obs: ObsProcess) -> Shop:
    return Shop(obs)


class Client:
    """A client of the data source's address; keeps what it asked."""

    def __init__(self, obs: ObsProcess) -> None:
        self._root = f"{obs.url}/jaeger"

    def get(self, path: str, query: str | dict[str, Any] = "", status: int = 200) -> Any:
        text = query if isinstance(query, str) else urlencode(query)
        try:
            with urllib.request.urlopen(f"{self._root}{path}{'?' if text else ''}{text}", timeout=60) as answer:
                assert status == answer.status
                return orjson.loads(answer.read())
        except urllib.error.HTTPError as e:
            assert e.code == status, (path, text, e.read()[:300])
            return orjson.loads(e.read())


@pytest.fixture
def client(obs: ObsProcess, shop: Shop) -> Client:
    client = Client(obs)
    eventually(lambda: client.get("/api/services")["data"], lambda names: "cart" in names)
    return client


def test_the_ui_searches_and_opens_a_trace(client: Client, shop: Shop) -> None:
    now_us = time.time_ns() // 1000
    assert {"cart", "web/eu"} <= set(client.get("/api/services")["data"])
    service = quote("web/eu", safe="")
    assert client.get(f"/api/services/{service}/operations")["data"] == ["call cart", "place order"]
    found = client.get("/api/traces", {
        "end": now_us + 10**6, "limit": 20, "lookback": "1h", "maxDuration": "", "minDuration": "", "service": "web/eu",
        "start": now_us - 3_600 * 10**6, "tags": '{"user.id":"u7"}',
    })  # fmt: skip
    assert [t["traceID"] for t in found["data"]] == [shop.order]
    (opened,) = client.get(f"/api/traces/{shop.order}")["data"]
    spans = {s["operationName"]: s for s in opened["spans"]}
    processes = {p: v["serviceName"] for p, v in opened["processes"].items()}
    assert {n: processes[s["processID"]] for n, s in spans.items()} == {
        "place order": "web/eu", "call cart": "web/eu", "add": "cart",
    }  # fmt: skip
    assert spans["add"]["references"] == [
        {"refType": "CHILD_OF", "traceID": shop.order, "spanID": spans["call cart"]["spanID"]}
    ]
    tags = {t["key"]: t["value"] for t in spans["add"]["tags"]}
    assert (tags["error"], tags["http.status_code"], tags["otel.status_description"]) == (True, 500, "full")
    assert {"key": "event", "type": "string", "value": "exception"} in spans["add"]["logs"][0]["fields"]
    (later,) = client.get(f"/api/traces/{shop.later}")["data"]
    assert later["spans"][0]["references"] == [
        {"refType": "FOLLOWS_FROM", "traceID": shop.order, "spanID": spans["place order"]["spanID"]}
    ]
    missing = client.get(f"/api/traces/{'ab' * 16}", status=404)
    assert (missing["errors"][0]["code"], missing["errors"][0]["msg"]) == (404, "trace not found")


def test_the_ui_compares_and_draws_the_architecture(client: Client, shop: Shop) -> None:
    found = client.get("/api/traces", f"traceID={shop.order}&traceID={shop.later}")
    assert [t["traceID"] for t in found["data"]] == [shop.order, shop.later]
    calls = client.get("/api/dependencies", {"endTs": time.time_ns() // 10**6 + 1000, "lookback": 604_800_000})
    assert calls["data"] == [{"parent": "web/eu", "child": "cart", "callCount": 1}]


def test_the_ui_of_the_third_api(client: Client, shop: Shop) -> None:
    assert {"cart", "web/eu"} <= set(client.get("/api/v3/services")["services"])
    spans = client.get("/api/v3/operations", {"service": "cart"})["operations"]
    assert spans == [{"name": "add", "spanKind": "server"}, {"name": "settle", "spanKind": "internal"}]
    start, end = (time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + d)) for d in (-3600, 60))
    (line,) = client.get("/api/v3/trace-summaries", {
        "query.service_name": "web/eu", "query.start_time_min": start, "query.start_time_max": end,
        "query.num_traces": 20, "query.attributes": '{"user.id":"u7"}',
    })["summaries"]  # fmt: skip
    assert (line["traceId"], line["spanCount"], line["errorSpanCount"]) == (shop.order, 3, 1)
    found = client.get(f"/api/v3/traces/{shop.order}")["result"]["resourceSpans"]
    assert {s["name"] for r in found for scope in r["scopeSpans"] for s in scope["spans"]} == {
        "place order", "call cart", "add",
    }  # fmt: skip


def test_the_ui_monitors_a_service(client: Client) -> None:
    operations = client.get("/api/operations", {"service": "cart", "spanKind": "server"})["data"]
    assert operations == [{"name": "add", "spanKind": "server"}]
    query = {"endTs": time.time_ns() // 10**6 + 1000, "lookback": 3_600_000, "quantile": 0.95, "ratePer": 600_000,
             "spanKind": "server", "step": 60_000}  # fmt: skip
    asked = [("latencies", 0.5), ("latencies", 0.75), ("latencies", 0.95), ("calls", 0.95), ("errors", 0.95)]
    service = [
        client.get(f"/api/metrics/{kind}", f"service=cart&{urlencode({**query, 'quantile': quantile})}")
        for kind, quantile in asked
    ]
    assert [m["name"] for m in service] == ["service_latencies"] * 3 + ["service_call_rate", "service_error_rate"]
    last = [m["metrics"][0]["metricPoints"][-1]["gaugeValue"]["doubleValue"] for m in service]
    assert last[3:] == [1 / 600, 1.0]
    assert last[0] == last[2] > 0
    assert {m["metrics"][0]["labels"][0]["value"] for m in service} == {"cart"}
    for kind in ("latencies", "calls", "errors"):
        found = client.get(f"/api/metrics/{kind}", f"service=cart&{urlencode({**query, 'groupByOperation': 'true'})}")
        assert found["name"].startswith("service_operation_")
        assert {"name": "operation", "value": "add"} in found["metrics"][0]["labels"]


def test_grafana_searches_and_opens_a_trace(client: Client, shop: Shop) -> None:
    assert "web/eu" in client.get("/api/services")["data"]
    assert client.get("/api/services/cart/operations")["data"] == ["add", "settle"]
    query = {"limit": 20, "maxDuration": "1m", "minDuration": "1us", "operation": "add", "service": "cart",
             "tags": '{"http.status_code":"500"}'}  # fmt: skip
    assert [t["traceID"] for t in client.get("/api/traces", query)["data"]] == [shop.order]
    now_us = time.time_ns() // 1000
    (opened,) = client.get(f"/api/traces/{shop.order}", {"start": now_us - 10**9, "end": now_us + 10**6})["data"]
    assert len(opened["spans"]) == 3
    calls = client.get("/api/dependencies", {"endTs": now_us // 1000 + 1000, "lookback": 3_600_000})
    assert calls["data"][0]["callCount"] == 1


def test_grafana_over_the_third_api(client: Client, shop: Shop) -> None:
    assert {"cart", "web/eu"} <= set(client.get("/api/v3/services")["services"])
    operations = client.get("/api/v3/operations", "service=web%2Feu")["operations"]
    assert [o["name"] for o in operations] == ["call cart", "place order"]
    start, end = (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + d)) for d in (-3600, 60))
    times = f"&query.start_time_min={start}.123456789Z&query.start_time_max={end}Z"
    tags = {"query.attributes": '{"user.id":"u7"}', "query.duration_max": "1m", "query.service_name": "web/eu"}
    query = urlencode(tags)
    found = client.get("/api/v3/traces", query + times)
    spans = [s for r in found["result"]["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]]
    (span,) = [s for s in spans if s["name"] == "add"]
    assert (span["traceId"], span["kind"], span["status"]) == (shop.order, 2, {"code": 2, "message": "full"})
    assert int(span["endTimeUnixNano"]) > int(span["startTimeUnixNano"])
    opened = client.get(f"/api/v3/traces/{shop.order}", f"start_time={start}Z&end_time={end}Z")
    assert len(opened["result"]["resourceSpans"]) == 2
    empty = client.get("/api/v3/traces", f"query.service_name=none{times}", status=404)
    assert empty == {"error": {"httpCode": 404, "message": "No traces found"}}
