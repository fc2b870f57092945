"""Faulty telemetry into a real obs, over HTTP and gRPC: refused in words, the rest kept, the process well."""

from __future__ import annotations

import gzip
import http.client
import random
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

import cramjam
import grpc
import pytest
from google.rpc import code_pb2, status_pb2
from obs_process import ObsProcess
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb

PROTOBUF = "application/x-protobuf"
NOW_NS = time.time_ns()
YEAR_2200_NS = 7_258_118_400_000_000_000
RESPONSES = {
    "traces": trace_pb.ExportTraceServiceResponse,
    "metrics": metrics_pb.ExportMetricsServiceResponse,
    "logs": logs_pb.ExportLogsServiceResponse,
}


@dataclass(frozen=True)
class Answer:
    """What a sender learns: whether all was taken, else the status code of google.rpc, or what was rejected."""

    code: int
    message: str
    rejected: int = 0


class Sender:
    """Sends OTLP bodies over one transport."""

    def __init__(self, obs: ObsProcess, transport: str) -> None:
        self.transport = transport
        self._address = urlparse(obs.url)
        self._channel = grpc.insecure_channel(obs.otlp_grpc, [("grpc.max_send_message_length", -1)])

    def send(self, signal: str, body: bytes) -> Answer:
        """One body."""
        return self._grpc(signal, body) if self.transport == "grpc" else self._http(signal, body)

    def _http(self, signal: str, body: bytes) -> Answer:
        status, headers, answer = post(self._address.netloc, f"/v1/{signal}", body, {"Content-Type": PROTOBUF})
        assert headers["content-type"] == PROTOBUF
        if status != 200:
            error = status_pb2.Status.FromString(answer)
            return Answer(error.code, error.message)
        return _taken(signal, answer)

    def _grpc(self, signal: str, body: bytes) -> Answer:
        kind = {"traces": "trace", "metrics": "metrics", "logs": "logs"}[signal]
        service = f"opentelemetry.proto.collector.{kind}.v1.{kind.capitalize()}Service"
        call = self._channel.unary_unary(f"/{service}/Export")
        try:
            return _taken(signal, call(body, timeout=60))
        except grpc.RpcError as e:
            return Answer(e.code().value[0], e.details())  # type: ignore[attr-defined]


def _taken(signal: str, answer: bytes) -> Answer:
    partial = RESPONSES[signal].FromString(answer).partial_success
    field = {"traces": "rejected_spans", "metrics": "rejected_data_points", "logs": "rejected_log_records"}[signal]
    return Answer(0, partial.error_message, getattr(partial, field))


def post(netloc: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(netloc, timeout=60)
    try:
        connection.request("POST", path, body, headers, encode_chunked="Transfer-Encoding" in headers)
    except (BrokenPipeError, ConnectionResetError):  # refused before it was read whole
        pass
    response = connection.getresponse()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    with ObsProcess(tmp_path_factory.mktemp("bad-otlp") / "data") as process:
        yield process
        assert "Traceback" not in process.errors()


@pytest.fixture(params=["http", "grpc"])
def sender(request: pytest.FixtureRequest, obs: ObsProcess) -> Sender:
    return Sender(obs, request.param)


@pytest.fixture(autouse=True)
def well(obs: ObsProcess) -> Iterator[None]:
    """After each case the process lives and its ledger adds up."""
    yield
    assert obs.process.poll() is None
    for entry in obs.client.status()["ledger"]:
        assert entry["received"] == entry["stored"] + sum(entry["dropped"].values()), entry


def span(service: str = "bad", **fields: Any) -> bytes:
    """A request with one good span and one made of `fields`."""
    request = trace_pb.ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    spans = resource.scope_spans.add().spans
    good = {"trace_id": b"t" * 16, "span_id": b"s" * 8, "name": "op", "start_time_unix_nano": NOW_NS,
            "end_time_unix_nano": NOW_NS + 5}  # fmt: skip
    spans.add(**good)
    spans.add(**{**good, "span_id": b"S" * 8, **fields})
    return request.SerializeToString()


def log(**fields: Any) -> bytes:
    """A request with one record made of `fields`."""
    request = logs_pb.ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(**{"time_unix_nano": NOW_NS, **fields})
    record.body.string_value = "a line"
    return request.SerializeToString()


def gauge(name: str = "bad_gauge", value: float = 1.0, time_ns: int = NOW_NS, labels: int = 0) -> bytes:
    """A request with one point."""
    request = metrics_pb.ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    point = metric.gauge.data_points.add(as_double=value, time_unix_nano=time_ns)
    for i in range(labels):
        point.attributes.add(key=f"label_{i}").value.string_value = str(i)
    return request.SerializeToString()


def broken_text(body: bytes) -> bytes:
    """The body with one byte of its text no longer UTF-8."""
    assert b"op" in body
    return body.replace(b"op", b"\xff\xfe")


def deep(levels: int) -> bytes:
    """A log record with an attribute nested so deep."""
    request = logs_pb.ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=NOW_NS)
    value = record.attributes.add(key="deep").value
    for _ in range(levels):
        value = value.array_value.values.add()
    value.int_value = 1
    return request.SerializeToString()


@pytest.mark.parametrize("signal", RESPONSES)
@pytest.mark.parametrize(
    "body",
    [lambda: b"\xff" * 40, lambda: b"\x0a\x7f", lambda: span()[:-3], lambda: bytes(range(256)) * 20],
    ids=["ones", "cut length", "cut message", "all bytes"],
)
def test_what_is_no_message_is_an_invalid_argument(sender: Sender, signal: str, body: Callable[[], bytes]) -> None:
    answer = sender.send(signal, body())
    assert (answer.code, answer.message[:6]) == (code_pb2.INVALID_ARGUMENT, "cannot")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda: span(trace_id=b"short"), "trace id"),
        (lambda: span(trace_id=b""), "trace id"),
        (lambda: span(span_id=b"0123456789"), "span id"),
        (lambda: span(trace_id=bytes(16)), "trace id"),
        (lambda: span(span_id=bytes(8)), "span id"),
    ],
)
def test_a_faulty_span_is_rejected_and_the_others_kept(sender: Sender, body: Callable[[], bytes], said: str) -> None:
    answer = sender.send("traces", body())
    assert (answer.code, answer.rejected) == (0, 1)
    assert said in answer.message


@pytest.mark.parametrize(
    ("signal", "body"),
    [
        ("traces", lambda: span(name="")),
        ("traces", lambda: span(start_time_unix_nano=0, end_time_unix_nano=0)),
        ("traces", lambda: span(start_time_unix_nano=YEAR_2200_NS, end_time_unix_nano=YEAR_2200_NS)),
        ("traces", lambda: span(end_time_unix_nano=1)),
        ("traces", lambda: span(parent_span_id=b"S" * 8)),
        ("logs", lambda: log(time_unix_nano=0)),
        ("logs", lambda: log(time_unix_nano=YEAR_2200_NS)),
        ("logs", lambda: log(severity_number=24)),
        ("metrics", lambda: gauge(value=float("nan"))),
        ("metrics", lambda: gauge(value=float("-inf"))),
        ("metrics", lambda: gauge(time_ns=0)),
        ("metrics", lambda: gauge(time_ns=YEAR_2200_NS)),
        ("logs", lambda: deep(30)),
        ("traces", lambda: broken_text(span())),
    ],
)
def test_what_is_odd_is_kept(sender: Sender, signal: str, body: Callable[[], bytes]) -> None:
    assert sender.send(signal, body()) == Answer(0, "")


@pytest.mark.parametrize(
    ("signal", "body", "said"),
    [
        ("metrics", lambda: gauge(name=""), "name"),
        ("metrics", lambda: gauge(labels=10_000), "more than 256 labels"),
        ("logs", lambda: deep(5_000), "deep"),
    ],
)
def test_what_cannot_be_kept_is_told(sender: Sender, signal: str, body: Callable[[], bytes], said: str) -> None:
    answer = sender.send(signal, body())
    assert answer.rejected or answer.code == code_pb2.INVALID_ARGUMENT
    assert said in answer.message


def test_a_body_of_100_mb_is_refused_before_it_is_read(obs: ObsProcess) -> None:
    netloc = urlparse(obs.url).netloc
    body = bytes(100_000_000)
    status, _, answer = post(netloc, "/v1/traces", body, {"Content-Type": PROTOBUF})
    assert status == 413
    assert "limit" in status_pb2.Status.FromString(answer).message
    chunks = (bytes(1_000_000) for _ in range(100))
    assert post(netloc, "/v1/traces", chunks, {"Content-Type": PROTOBUF, "Transfer-Encoding": "chunked"})[0] == 413
    answer = Sender(obs, "grpc").send("traces", body)
    assert (answer.code, "larger than max" in answer.message) == (code_pb2.RESOURCE_EXHAUSTED, True)


def zstd(data: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(data))


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstd)])
def test_a_bomb_is_refused(obs: ObsProcess, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    headers = {"Content-Type": PROTOBUF, "Content-Encoding": encoding}
    status, _, answer = post(urlparse(obs.url).netloc, "/v1/logs", pack(bytes(300_000_000)), headers)
    assert status == 413
    assert "inflates" in status_pb2.Status.FromString(answer).message


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/html"}, 415),
        ({}, 415),
        ({"Content-Type": PROTOBUF, "Content-Encoding": "br"}, 415),
        ({"Content-Type": PROTOBUF, "Content-Encoding": "gzip"}, 400),
        ({"Content-Type": "application/json"}, 400),
    ],
)
def test_other_media_are_refused(obs: ObsProcess, headers: dict[str, str], status: int) -> None:
    assert post(urlparse(obs.url).netloc, "/v1/traces", span(), headers)[0] == status


def test_mutated_bodies_are_taken_or_refused(sender: Sender) -> None:
    dice = random.Random(20_261_123)
    bodies = {"traces": span(), "logs": log(), "metrics": gauge(labels=5)}
    for _ in range(60):
        for signal, good in bodies.items():
            body = bytearray(good)
            for _ in range(dice.randint(1, 4)):
                body[dice.randrange(len(body))] = dice.randrange(256)
            answer = sender.send(signal, bytes(body))
            assert answer.code in (0, code_pb2.INVALID_ARGUMENT), (signal, bytes(body), answer)
