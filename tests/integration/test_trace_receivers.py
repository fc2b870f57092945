"""The contract of every receiver of traces: what was sent is found, counted and kept; what cannot be taken is told."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
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
from span_senders import CONFIG, PORTS, SENDERS, Sender, Sent

NOW_US = time.time_ns() // 10**9 * 10**6
ODD = {
    "nul": "before\0after",
    "colours": "\x1b[31mred\x1b[0m",
    "quotes": "say \"hi\" \\ {braces} 'single'",
    "wide": "日本語 🎉 ünï",
    "long": "x" * 60_000,
    "lines": "first\n  second\n\tthird",
    "bars": "a|b|c|{}|3",
}


def ids(sender: Sender) -> str:
    return type(sender).__name__


def number(sender: Sender, salt: int) -> int:
    """A 128-bit trace id for each sender."""
    return 0xA1B2C3D4E5F60718 << 64 | (SENDERS.index(sender) + 1) << 32 | salt


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    folder = tmp_path_factory.mktemp("receivers")
    config = folder / "obs.yml"
    config.write_text(CONFIG)
    with ObsProcess(folder / "data", "--config", str(config), ports=PORTS) as process:
        yield process
        assert process.process.poll() is None
        assert "Traceback" not in process.errors()


def spans(obs: ObsProcess, trace: str) -> dict[str, dict[str, Any]]:
    """The spans of a trace in Jaeger's JSON, by id."""
    (found,) = json.loads(obs.client.transport.raw(f"/jaeger/api/traces/{trace}", []))["data"]
    tagged = [span | {"tags": {t["key"]: t["value"] for t in span["tags"]}} for span in found["spans"]]
    return {s["spanID"]: s | {"service": found["processes"][s["processID"]]["serviceName"]} for s in tagged}


def ledger(obs: ObsProcess, sender: Sender) -> dict[str, Any]:
    """The ledger's entry of a receiver."""
    entries = json.loads(obs.client.transport.raw("/api/status", []))["ledger"]
    return next((e for e in entries if (e["signal"], e["receiver"]) == ("traces", sender.name)), {"received": 0})


@pytest.mark.parametrize("sender", SENDERS, ids=ids)
def test_what_is_sent_is_found_and_counted(obs: ObsProcess, sender: Sender) -> None:
    service, trace = f"contract-{ids(sender)}".lower(), number(sender, 1)
    sent = [
        Sent(
            trace, i + 1, i, f"step {i}", NOW_US + i, 1000 + i, service, ("SERVER", "CLIENT")[i % 2],
            f"tag {i}", i % 3 == 0, f"event {i}" if i % 2 else "",
        )
        for i in range(20)
    ]  # fmt: skip
    before = ledger(obs, sender)["received"]
    sender(obs, sent)
    found = spans(obs, sent[0].trace_hex)
    assert len(found) == len(sent)
    for one in sent:
        span = found[f"{one.span:016x}"]
        assert (span["operationName"], span["service"]) == (one.name, service)
        assert (span["startTime"], span["duration"]) == (one.start_us, one.duration_us)
        parents = [r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"]
        assert parents == ([f"{one.parent:016x}"] if one.parent else [])
        assert (span["tags"]["tag"], span["tags"]["span.kind"]) == (one.tag, one.kind.lower())
        assert span["tags"].get("error", False) is one.failed
        assert [f["value"] for log in span["logs"] for f in log["fields"] if f["key"] == "event"] == [
            one.event for _ in range(bool(one.event))
        ]
    entry = ledger(obs, sender)
    assert entry["received"] - before == len(sent)
    assert entry["received"] == entry["stored"] + sum(entry["dropped"].values())


@pytest.mark.parametrize("sender", SENDERS, ids=ids)
def test_odd_texts_come_back_as_they_were(obs: ObsProcess, sender: Sender) -> None:
    trace = number(sender, 2)
    sent = [Sent(trace, i + 1, 0, text, NOW_US, tag=text) for i, text in enumerate(ODD.values())]
    sender(obs, sent)
    found = spans(obs, sent[0].trace_hex)
    assert [found[f"{s.span:016x}"]["tags"]["tag"] for s in sent] == list(ODD.values())
    assert [found[f"{s.span:016x}"]["operationName"] for s in sent] == list(ODD.values())


@pytest.mark.parametrize("sender", SENDERS, ids=ids)
def test_ids_of_64_bits_are_found_either_way(obs: ObsProcess, sender: Sender) -> None:
    trace = 0xFEED000000000000 + SENDERS.index(sender)
    sender(obs, [Sent(trace, 0x8000000000000001, 0, "short", NOW_US), Sent(trace, 2, 0, "other", NOW_US)])
    assert spans(obs, f"{trace:016x}").keys() == spans(obs, f"{trace:032x}").keys() == {"8000000000000001", f"{2:016x}"}


@pytest.mark.parametrize("sender", SENDERS, ids=ids)
def test_what_is_no_message_is_told(obs: ObsProcess, sender: Sender) -> None:
    said = sender.garbage(obs)
    assert re.match(r"cannot (decode|read)", said), said
    assert "Traceback" not in said
    sent = [Sent(number(sender, 3), i, 0, "still here", NOW_US) for i in (1, 2)]
    sender(obs, sent)
    assert len(spans(obs, sent[0].trace_hex)) == 2


def test_what_is_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    config = tmp_path / "obs.yml"
    config.write_text(CONFIG)
    with ObsProcess(tmp_path / "data", "--config", str(config), ports=PORTS) as obs:
        for sender in SENDERS:
            sender(obs, [Sent(number(sender, 4), i + 1, i, f"step {i}", NOW_US + i) for i in range(20)])
        obs.kill()
        obs.start()
        for sender in SENDERS:
            assert len(spans(obs, f"{number(sender, 4):032x}")) == 20


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
    (found,) = spans(obs, f"{span.get_span_context().trace_id:032x}").values()
    assert (found["service"], found["operationName"]) == ("sdk", "work")
    tags = found["tags"]
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
