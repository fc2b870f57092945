"""Zipkin's clients trace into its port, and what the port took it gives back."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from log_senders import post
from obs_process import ObsProcess
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from py_zipkin import Encoding
from py_zipkin.transport import SimpleHTTPTransport
from py_zipkin.zipkin import zipkin_client_span, zipkin_span

NOW_US = time.time_ns() // 10**9 * 10**6


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    folder = tmp_path_factory.mktemp("receivers")
    config = folder / "obs.yml"
    config.write_text('receivers: {zipkin: {listen: "127.0.0.1:0"}}\n')
    with ObsProcess(folder / "data", "--config", str(config), ports=1) as process:
        yield process
        assert process.process.poll() is None
        assert "Traceback" not in process.errors()


@pytest.mark.parametrize("encoding", [Encoding.V1_JSON, Encoding.V2_JSON])
def test_py_zipkin_traces_into_its_port(obs: ObsProcess, encoding: Encoding) -> None:
    host, port = obs.receivers["zipkin"].split(":")
    transport = SimpleHTTPTransport(host, int(port))
    asked = {"transport_handler": transport, "sample_rate": 100, "encoding": encoding}
    with zipkin_span("shop-py", "checkout", use_128bit_trace_id=True, port=8080, **asked) as root:
        root.update_binary_annotations({"basket": "3"})
        with zipkin_client_span("shop-py", "charge") as child:
            child.add_sa_binary_annotation(4242, "bank", "10.0.0.7")
            child.add_annotation("sent")
    assert root.zipkin_attrs is not None
    given = {span["name"]: span for span in get(f"http://{host}:{port}", f"/api/v2/trace/{root.zipkin_attrs.trace_id}")}
    assert given["checkout"]["tags"]["basket"] == "3"
    assert given["checkout"]["localEndpoint"]["port"] == 8080
    assert given["charge"]["parentId"] == given["checkout"]["id"]
    assert given["charge"]["kind"] == "CLIENT"
    assert given["charge"]["remoteEndpoint"] == {"serviceName": "bank", "ipv4": "10.0.0.7", "port": 4242}
    assert [a["value"] for a in given["charge"]["annotations"]] == ["sent"]


def test_the_sdks_zipkin_exporter_is_understood(obs: ObsProcess) -> None:
    exporter = ZipkinExporter(endpoint=f"http://{obs.receivers['zipkin']}/api/v2/spans")
    provider = TracerProvider(resource=Resource.create({"service.name": "sdk", "k8s.pod.name": "pod-1"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("lib", "2").start_as_current_span("work", kind=SpanKind.SERVER) as span:
        span.set_attribute("n", 5)
        span.add_event("tried", {"times": 2})
        span.set_status(StatusCode.ERROR, "no luck")
    provider.shutdown()
    trace = get(obs.url, f"/jaeger/api/traces/{span.get_span_context().trace_id:032x}")["data"][0]
    (found,) = trace["spans"]
    assert trace["processes"][found["processID"]]["serviceName"] == "sdk"
    assert found["operationName"] == "work"
    tags = {tag["key"]: tag["value"] for tag in found["tags"]}
    assert (tags["n"], tags["span.kind"], tags["error"]) == ("5", "server", True)
    assert (tags["otel.status_description"], tags["otel.scope.name"]) == ("no luck", "lib")
    query = [("q", "SELECT count(*) FROM spans WHERE \"resource.k8s.pod.name\" = 'pod-1'")]
    assert json.loads(obs.client.transport.raw("/api/sql", query))["rows"] == [[1]]


def test_what_the_zipkin_port_took_it_gives_back(obs: ObsProcess) -> None:
    span = {
        "traceId": "00000000000000ab", "id": "00000000000000cd", "parentId": "00000000000000ef", "name": "get /cart",
        "kind": "SERVER", "timestamp": NOW_US, "duration": 250, "shared": True, "debug": True,
        "localEndpoint": {"serviceName": "front", "ipv4": "10.0.0.1", "port": 8080},
        "remoteEndpoint": {"serviceName": "mobile", "ipv6": "2001:db8::7", "port": 443},
        "annotations": [{"timestamp": NOW_US + 5, "value": "cache.miss"}],
        "tags": {"http.path": "/cart", "error": "no such cart", "peer": "x"},
    }  # fmt: skip
    zipkin = f"http://{obs.receivers['zipkin']}"
    assert post(zipkin, "/api/v2/spans", json.dumps([span]).encode(), {}) == (202, b"")
    for url, prefix in ((zipkin, ""), (obs.url, "/zipkin")):
        (given,) = get(url, f"{prefix}/api/v2/trace/ab")
        assert given.pop("tags") == span["tags"] | {"otel.status_code": "ERROR"}
        assert given == {k: v for k, v in span.items() if k != "tags"}
        assert "front" in get(url, f"{prefix}/api/v2/services")
        assert get(url, f"{prefix}/api/v2/spans?serviceName=front") == ["get /cart"]
        assert get(url, f"{prefix}/api/v2/remoteServices?serviceName=Front") == ["mobile"]
        assert get(url, f"{prefix}/api/v2/remoteServices?serviceName=mobile") == []
        assert get(url, f"{prefix}/api/v2/traces?serviceName=front&endTs={NOW_US // 1000 + 1}&limit=5") == [
            get(url, f"{prefix}/api/v2/trace/ab")
        ]


def get(url: str, path: str) -> Any:
    """The JSON at a path."""
    with urllib.request.urlopen(url + path, timeout=60) as answer:
        return json.loads(answer.read())
