"""Hard traces into a real obs over OTLP, read back by every API: stored, or rejected with a reason; never a hang."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import pytest
from obs_process import ObsProcess
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from opentelemetry.proto.trace.v1.trace_pb2 import Span

NOW_NS = time.time_ns()
S, DAY = 10**9, 86_400 * 10**9
BIG, SPANS = 0xB16, 200_000
WAIT_S = 300
"""What an answer may take on a machine that is busy with other tests: far from a hang."""


def trace_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def span(trace: int, number: int, parent: int = 0, start: int = NOW_NS, length: int = S, **more: Any) -> Any:
    return Span(
        trace_id=trace_id(trace), span_id=number.to_bytes(8, "big"), name=f"n{number % 7}", kind=2,
        parent_span_id=parent.to_bytes(8, "big") if parent else b"", start_time_unix_nano=start,
        end_time_unix_nano=start + length, **more,
    )  # fmt: skip


class Server:
    """A real server: takes spans, answers paths."""

    def __init__(self, obs: ObsProcess) -> None:
        self.obs = obs
        self._netloc = urlsplit(obs.url).netloc

    def send(self, *spans: Any, service: str = "hard") -> Any:
        """The answer's partial_success."""
        request = trace_pb.ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.add(key="service.name").value.string_value = service
        group.scope_spans.add().spans.extend(spans)
        return self.post(request.SerializeToString())

    def post(self, body: bytes) -> Any:
        status, answer = self._ask("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        assert status == 200, answer
        return trace_pb.ExportTraceServiceResponse.FromString(answer).partial_success

    def raw(self, path: str, **params: Any) -> bytes:
        query = f"?{urlencode(params, doseq=True)}" if params else ""
        status, answer = self._ask("GET", path + query, None, {})
        assert status == 200, (path, answer[:300])
        return answer

    def get(self, path: str, **params: Any) -> Any:
        return orjson.loads(self.raw(path, **params))

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._netloc, timeout=WAIT_S)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ObsProcess(tmp_path_factory.mktemp("hard") / "data") as process:
        yield Server(process)
        assert process.process.poll() is None
        assert "Traceback" not in process.errors()


@pytest.fixture(scope="module")
def big(server: Server) -> str:
    """A trace of 200,000 spans: a chain 100,000 deep, and as many children of one parent."""
    for first in range(1, SPANS + 1, 20_000):
        numbers = range(first, first + 20_000)
        server.send(*(span(BIG, n, n - 1 if n <= SPANS // 2 else 1, NOW_NS + n, S - n) for n in numbers), service="big")
    return f"{BIG:032x}"


def test_the_big_trace_is_read_in_pages(server: Server, big: str) -> None:
    first = server.get(f"/api/traces/{big}")
    assert (len(first["spans"]), first["totalSpans"], first["next"]) == (10_000, SPANS, 10_000)
    page = server.get(f"/api/traces/{big}", offset=SPANS // 2 - 3, limit=2)
    assert [s["depth"] for s in page["spans"]] == [SPANS // 2 - 3, SPANS // 2 - 2]
    last = server.get(f"/api/traces/{big}", offset=SPANS - 5)
    assert (len(last["spans"]), last["next"], {s["depth"] for s in last["spans"]}) == (5, None, {1})
    shown = server.obs.client.traces.trace(big)
    assert len(shown["spans"]) == 20_000
    assert shown["warnings"][0] == "only the first 20000 of 200000 spans are here, in the order of the tree"


def test_the_big_trace_is_analysed(server: Server, big: str) -> None:
    found = server.get("/api/traces/compare", a=big, b=big)
    assert (len(found["spans"]), found["onlyA"], found["onlyB"]) == (SPANS, 0, 0)
    assert found["spans"][SPANS // 2 - 1]["depth"] == SPANS // 2 - 1
    path = server.get(f"/api/traces/{big}/critical-path")
    assert sum(s["criticalNs"] for s in path["spans"]) == path["criticalNs"] == path["durationNs"]


def jaeger_spans(answer: bytes) -> int:
    return sum(len(t["spans"]) for t in orjson.loads(answer)["data"])


def otlp_spans(answer: bytes) -> int:
    found = orjson.loads(answer)
    return sum(len(scope["spans"]) for r in found["result"]["resourceSpans"] for scope in r["scopeSpans"])


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/jaeger/api/traces/{}", jaeger_spans),
        ("/jaeger/api/v3/traces/{}", otlp_spans),
    ],
)
def test_the_big_trace_whole_while_others_are_served(server: Server, big: str, path: str, count: Any) -> None:
    answers: list[bytes] = []
    reader = threading.Thread(target=lambda: answers.append(server.raw(path.format(big))))
    reader.start()
    served = 0
    while reader.is_alive():
        assert "big" in server.get("/jaeger/api/services")["data"]
        served += 1
        reader.join(0.3)
    assert count(answers[0]) == SPANS
    assert served > 1


def test_the_big_trace_is_found(server: Server, big: str) -> None:
    (hit,) = server.get("/api/traces/search", service="big")["traces"]
    assert (hit["spans"], hit["traceId"]) == (SPANS, big)
    (hit,) = server.get("/tempo/api/search", q='{ resource.service.name = "big" && name = "n3" }')["traces"]
    assert hit["spanSet"]["matched"] == len([n for n in range(1, SPANS + 1) if n % 7 == 3])
    (line,) = server.get("/jaeger/api/v3/trace-summaries", **{"query.serviceName": "big"})["summaries"]
    assert line["services"] == [{"name": "big", "spanCount": SPANS, "errorSpanCount": 0}]
    assert server.get(f"/api/traces/{big}/links")["links"] == []
    calls = server.get(
        "/jaeger/api/metrics/calls",
        service="big",
        endTs=NOW_NS // 10**6 + 1000,
        lookback=1000,
        step=1000,
        ratePer=10_000,
    )
    assert calls["metrics"][0]["metricPoints"][-1]["gaugeValue"]["doubleValue"] == SPANS / 10


def test_ten_thousand_events(server: Server) -> None:
    events = [Span.Event(time_unix_nano=NOW_NS + i, name=f"e{i}") for i in range(10_000)]
    server.send(span(1, 1, events=events))
    (shown,) = server.get("/api/traces/1")["spans"]
    assert [e["name"] for e in shown["events"]] == [f"e{i}" for i in range(10_000)]
    ((jaeger,),) = (t["spans"] for t in server.get("/jaeger/api/traces/1")["data"])
    assert len(jaeger["logs"]) == 10_000
    ((v3,),) = (
        s["spans"] for r in server.get("/jaeger/api/v3/traces/1")["result"]["resourceSpans"] for s in r["scopeSpans"]
    )
    assert len(v3["events"]) == 10_000


def test_a_parent_that_is_its_own_child(server: Server) -> None:
    server.send(span(2, 1, 1), span(2, 2, 3, NOW_NS + 5), span(2, 3, 2, NOW_NS + 6))
    found = server.get("/api/traces/2")
    assert {int(s["spanId"], 16): s["depth"] for s in found["spans"]} == {1: 0, 2: 0, 3: 1}
    assert [w for w in found["warnings"] if "own ancestor" in w] == [
        "2 spans are their own ancestor; the tree is cut there"
    ]
    assert found["missingParents"] == []
    (trace,) = server.get("/jaeger/api/traces/2")["data"]
    warned = {s["spanID"]: s["warnings"] for s in trace["spans"]}
    assert warned[f"{1:016x}"] == ["it is its own ancestor; the tree is cut above it"]


def test_an_end_before_its_start(server: Server) -> None:
    server.send(Span(trace_id=trace_id(3), span_id=b"12345678", start_time_unix_nano=NOW_NS, end_time_unix_nano=5))
    found = server.get("/api/traces/3")
    assert (found["durationNs"], found["spans"][0]["durationNs"]) == (0, 0)
    assert any("end before they start" in w for w in found["warnings"])
    (trace,) = server.get("/jaeger/api/traces/3")["data"]
    assert trace["spans"][0]["duration"] == 0
    assert server.get("/zipkin/api/v2/trace/3")[0]["duration"] == 1


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ({"trace_id": bytes(16), "span_id": b"12345678"}, "the trace id is not 16 bytes, or is all zero"),
        ({"trace_id": trace_id(4), "span_id": bytes(8)}, "the span id is not 8 bytes, or is all zero"),
    ],
)
def test_ids_of_zeros_are_rejected_with_their_reason(server: Server, ids: dict[str, bytes], said: str) -> None:
    partial = server.send(Span(start_time_unix_nano=NOW_NS, **ids), span(5, 1))
    assert (partial.rejected_spans, said in partial.error_message) == (1, True)
    assert server.get("/api/traces/5")["totalSpans"] == 1


def test_spans_a_day_late_join_their_trace(server: Server) -> None:
    server.send(span(6, 1))
    server.send(span(6, 2, 1, NOW_NS - DAY), service="late")
    found = server.get("/api/traces/6")
    assert {int(s["spanId"], 16): s["depth"] for s in found["spans"]} == {1: 0, 2: 1}
    for service, around in (("hard", NOW_NS), ("late", NOW_NS - DAY)):
        hits = server.get("/api/traces/search", service=service, start=around - S, end=around + S, limit=10_000)
        assert f"{6:032x}" in [t["traceId"] for t in hits["traces"]]
    edges = server.get("/jaeger/api/dependencies", endTs=NOW_NS // 10**6 + 1000, lookback=2 * 86_400_000)["data"]
    assert {"parent": "hard", "child": "late", "callCount": 1} in edges


def test_a_retry_counts_once(server: Server) -> None:
    for _ in range(3):
        server.send(span(7, 1), span(7, 2, 1), service="retried")
    assert server.get("/api/traces/7")["totalSpans"] == 2
    assert len(server.get("/jaeger/api/traces/7")["data"][0]["spans"]) == 2
    (hit,) = server.get("/api/traces/search", service="retried")["traces"]
    assert hit["spans"] == 2
    calls = server.get(
        "/jaeger/api/metrics/calls", service="retried", endTs=NOW_NS // 10**6 + 1000, lookback=1000, step=1000,
        ratePer=2000,
    )  # fmt: skip
    assert calls["metrics"][0]["metricPoints"][-1]["gaugeValue"]["doubleValue"] == 1.0


def test_links_to_nowhere(server: Server) -> None:
    links = [Span.Link(trace_id=trace_id(0xDEAD), span_id=b"12345678"), Span.Link(trace_id=bytes(16), span_id=bytes(8)),
             Span.Link(trace_id=b"short")]  # fmt: skip
    partial = server.send(span(8, 1, links=links))
    assert partial.rejected_spans == 0
    found = server.get("/api/traces/8/links")
    assert [(k["linkedTraceId"], k["linkedSpanId"]) for k in found["links"]] == [(f"{0xDEAD:032x}", b"12345678".hex())]
    assert {t["traceId"]: t["stored"] for t in found["traces"]} == {f"{8:032x}": True, f"{0xDEAD:032x}": False}
    (back,) = server.get(f"/api/traces/{0xDEAD:x}/links")["links"]
    assert back["traceId"] == f"{8:032x}"
    (trace,) = server.get("/jaeger/api/traces/8")["data"]
    assert [r["refType"] for r in trace["spans"][0]["references"]] == ["FOLLOWS_FROM"]


def test_attributes_that_are_no_utf8(server: Server) -> None:
    request = trace_pb.ExportTraceServiceRequest()
    hard = request.resource_spans.add().scope_spans.add().spans.add()
    hard.CopyFrom(span(9, 1))
    hard.attributes.add(key="text").value.string_value = "QQQQ"
    server.post(request.SerializeToString().replace(b"QQQQ", b"a\xff\xfeb"))
    (shown,) = server.get("/api/traces/9")["spans"]
    (value,) = (a["value"] for a in shown["attributes"] if a["key"] == "text")
    assert (value[0], value[-1], "\ufffd" in value) == ("a", "b", True)
    for path in ("/jaeger/api/traces/9", "/jaeger/api/v3/traces/9", "/zipkin/api/v2/trace/9", "/tempo/api/traces/9"):
        assert value in server.raw(path).decode()
    (hit,) = server.get("/jaeger/api/traces", tags=orjson.dumps({"text": value}).decode())["data"]
    assert hit["traceID"] == f"{9:016x}"


@pytest.mark.parametrize("written", ["abcdef0123456789", "0" * 16 + "abcdef0123456789", "ABCDEF0123456789"])
def test_ids_of_64_bits_are_found_either_way(server: Server, written: str) -> None:
    server.send(span(0xABCDEF0123456789, 1), service="short")
    for path in ("/api/traces/{}", "/jaeger/api/traces/{}", "/jaeger/api/traces?traceID={}", "/jaeger/api/v3/traces/{}",
                 "/tempo/api/traces/{}", "/tempo/api/v2/traces/{}", "/zipkin/api/v2/trace/{}",
                 "/zipkin/api/v2/traceMany?traceIds={}", "/api/traces/{}/links"):  # fmt: skip
        assert b"n1" in server.raw(path.format(written)) or "links" in path
