"""OTLP/HTTP on a real socket: encodings, content types, limits, and what the ledger says of each."""

import gzip
import http.client
import json
import threading
import zlib
from collections.abc import Iterator

import cramjam
import pytest
import uvicorn
from google.rpc import status_pb2
from obs_process import eventually
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb

from obs.collector import limits
from obs.collector.ledger import Ledger
from obs.collector.limits import BodySizes
from obs.collector.pipeline import Pipeline
from obs.collector.receivers.otlp.http import PREFIXES, OtlpHttp
from obs.collector.receivers.otlp.intake import Intake
from obs.errors import Overloaded
from obs.model.batch import Batch, Signal
from obs.serving.front import Front, not_found
from obs.serving.protocol import BoundedHttp
from obs.serving.sockets import address_of, listen

PROTOBUF = "application/x-protobuf"
IN_FLIGHT = 250_000


class Keep:
    """A store that keeps batches, or refuses while `full`."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.full = False
        self.broken = False

    def consume(self, batch: Batch) -> None:
        if self.broken:
            raise ValueError("a bug with secrets")
        if self.full:
            raise Overloaded("cannot take more: memory is full", 3.0)
        self.batches.append(batch)


class Server:
    """The receiver on a free port; `whole`: bodies of known size are taken whole."""

    def __init__(self, whole: bool) -> None:
        self.store, self.ledger = Keep(), Ledger()
        self.pipeline = Pipeline({Signal.TRACES: self.store}, max_in_flight_bytes=IN_FLIGHT)
        intake = Intake(self.pipeline, self.ledger)
        self.transport = OtlpHttp(intake, BodySizes(body=200_000, inflated=1_000_000))
        self.sock = listen("127.0.0.1:0", "listen")
        front = Front(self.transport.routes(), not_found, takers=self.transport.takers() if whole else {})
        config = uvicorn.Config(front, log_config=None, lifespan="off", http=BoundedHttp)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.sock]}, daemon=True)
        self.thread.start()

    def post(self, body: bytes, path: str = "/v1/traces", **headers: str) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(address_of(self.sock), timeout=20)
        names = {k.replace("_", "-"): v for k, v in {"content_type": PROTOBUF, **headers}.items()}
        connection.request("POST", path, body, names)
        response = connection.getresponse()
        return response.status, response.read(), {k.lower(): v for k, v in response.getheaders()}

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.transport.close()


@pytest.fixture(scope="module", params=[False, True], ids=["by asgi", "whole"])
def shared(request: pytest.FixtureRequest) -> Iterator[Server]:
    found = Server(request.param)
    yield found
    found.close()


@pytest.fixture
def server(shared: Server) -> Server:
    shared.store.batches.clear()
    shared.store.full = shared.store.broken = False
    return shared


def body_of(*trace_ids: bytes) -> bytes:
    request = pb.ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for trace_id in trace_ids:
        spans.add(trace_id=trace_id, span_id=b"12345678", name="op", start_time_unix_nano=1, end_time_unix_nano=2)
    return request.SerializeToString()


GOOD = body_of(b"0123456789abcdef")


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("identity", GOOD),
        ("gzip", gzip.compress(GOOD, mtime=0)),
        ("deflate", zlib.compress(GOOD)),
        ("zstd", bytes(cramjam.zstd.compress(GOOD))),
    ],
)
@pytest.mark.parametrize("path", ["/v1/traces", "/api/v1/otlp/v1/traces"])
def test_stores_in_every_encoding(server: Server, encoding: str, packed: bytes, path: str) -> None:
    status, answer, headers = server.post(packed, path, content_encoding=encoding)
    assert (status, headers["content-type"]) == (200, PROTOBUF)
    assert not pb.ExportTraceServiceResponse.FromString(answer).HasField("partial_success")
    assert [b.items for b in server.store.batches] == [1]


def test_json_is_answered_in_json(server: Server) -> None:
    span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "n"}
    span |= {"startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661000000000}
    text = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    status, answer, headers = server.post(text, content_type="application/json; charset=utf-8")
    assert (status, headers["content-type"], json.loads(answer)) == (200, "application/json", {})
    assert server.store.batches[0].items == 1


def test_refused_items_come_back_with_the_reason(server: Server) -> None:
    before = server.ledger.totals(Signal.TRACES, "otlp_http")
    status, answer, _ = server.post(body_of(b"0123456789abcdef", b"short"))
    partial = pb.ExportTraceServiceResponse.FromString(answer).partial_success
    assert (status, partial.rejected_spans) == (200, 1)
    assert "trace id" in partial.error_message
    after = server.ledger.totals(Signal.TRACES, "otlp_http")
    assert (after.received - before.received, after.stored - before.stored) == (2, 1)
    assert after.balanced


@pytest.mark.parametrize(
    ("body", "headers", "status", "word"),
    [
        (b"\xff\xff\xff", {}, 400, "cannot"),
        (GOOD[:-3], {}, 400, "cannot"),
        (GOOD, {"content_type": "text/plain"}, 415, "text/plain"),
        (GOOD, {"content_encoding": "br"}, 415, "br"),
        (b"no gzip", {"content_encoding": "gzip"}, 400, "inflate"),
        (gzip.compress(bytes(50_000_000), mtime=0), {"content_encoding": "gzip"}, 413, "inflates"),
        (bytes(300_000), {}, 413, "limit"),
    ],
)
def test_faulty_requests_are_refused_in_words(
    server: Server, body: bytes, headers: dict[str, str], status: int, word: str
) -> None:
    got, answer, _ = server.post(body, **headers)
    assert got == status
    assert word in status_pb2.Status.FromString(answer).message
    assert server.store.batches == []


def test_faulty_json_is_refused_in_json(server: Server) -> None:
    status, answer, _ = server.post(b'{"resourceSpans": 3', content_type="application/json")
    assert status == 400
    assert json.loads(answer)["message"].startswith("cannot")


def test_a_full_store_says_when_to_come_back(server: Server) -> None:
    server.store.full = True
    status, answer, headers = server.post(GOOD)
    assert (status, headers["retry-after"]) == (429, "3")
    assert status_pb2.Status.FromString(answer).code == 8


def test_a_bug_is_told_by_its_id_alone(server: Server) -> None:
    server.store.broken = True
    status, answer, _ = server.post(GOOD)
    said = status_pb2.Status.FromString(answer)
    assert (status, said.code, said.message[:14]) == (500, 13, "internal error")
    assert "secrets" not in said.message


def test_bodies_hold_room_while_they_arrive(server: Server) -> None:
    """One sender stops in the middle of its body: another is told to come back, until the first has ended."""
    slow = http.client.HTTPConnection(address_of(server.sock), timeout=20)
    slow.putrequest("POST", "/v1/traces")
    slow.putheader("Content-Type", PROTOBUF)
    slow.putheader("Content-Length", "200000")
    slow.endheaders(bytes(199_000))
    assert eventually(lambda: server.pipeline.in_flight_bytes, lambda held: held == 199_000) == 199_000
    status, answer, headers = server.post(bytes(60_000))
    assert (status, headers["retry-after"], status_pb2.Status.FromString(answer).code) == (429, "1", 8)
    bomb = gzip.compress(bytes(900_000), mtime=0)
    assert server.post(bomb, content_encoding="gzip")[0] == 429
    assert server.post(GOOD)[0] == 200
    slow.close()
    assert eventually(lambda: server.pipeline.in_flight_bytes, lambda held: held == 0) == 0
    assert server.post(bytes(60_000))[0] == 400
    assert server.post(bomb, content_encoding="gzip")[0] == 400


def test_other_paths_and_methods(server: Server) -> None:
    assert server.post(GOOD, "/v1/nothing")[0] == 404
    connection = http.client.HTTPConnection(address_of(server.sock), timeout=20)
    connection.request("GET", "/v1/traces")
    assert connection.getresponse().status == 405


def test_what_comes_the_usual_way() -> None:
    """A body that is large, and one of a kind that is to be refused."""
    takers = OtlpHttp(Intake(Pipeline({}), Ledger())).takers()
    assert set(takers) == {f"{p}/{s}".encode() for p in PREFIXES for s in ("traces", "metrics", "logs")}
    for headers, size in (({b"content-type": PROTOBUF.encode()}, limits.WHOLE_BYTES + 1), ({}, 10)):
        assert takers[b"/v1/logs"].begin(headers, size) is None
    assert takers[b"/v1/logs"].begin({b"content-type": b"application/json"}, 10) is not None
