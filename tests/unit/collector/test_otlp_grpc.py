"""OTLP/gRPC on a real socket: what is stored, what is refused and how senders are told."""

import threading
from collections.abc import Iterator, Mapping

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc

from obs.collector import limits
from obs.collector.ledger import Ledger
from obs.collector.pipeline import Pipeline
from obs.collector.receivers.otlp.grpc_server import NO_QUERIES, THREADS, OtlpGrpc
from obs.collector.receivers.otlp.intake import Intake
from obs.errors import ConfigError, Overloaded, StorageFull
from obs.model.batch import Batch, Signal
from obs.model.ports import Ask


class Keep:
    """A store that keeps batches, or raises `error`."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.error: Exception | None = None

    def consume(self, batch: Batch) -> None:
        if self.error:
            raise self.error
        self.batches.append(batch)


class Server:
    """The receiver on a free port, and a stub that speaks to it."""

    def __init__(
        self, body_s: float = 30.0, queries: Mapping[str, Mapping[str, Ask]] = NO_QUERIES, query_s: float = 300.0
    ) -> None:
        self.store, self.ledger = Keep(), Ledger()
        intake = Intake(Pipeline({Signal.LOGS: self.store}), self.ledger)
        self.transport = OtlpGrpc(intake, max_body_bytes=100_000, body_s=body_s, queries=queries, query_s=query_s)
        self.address = f"127.0.0.1:{self.transport.start('127.0.0.1:0')}"
        self.channel = grpc.insecure_channel(self.address)
        self.stub = logs_service_pb2_grpc.LogsServiceStub(self.channel)

    def close(self) -> None:
        self.channel.close()
        self.transport.close(0)


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def request(text: str = "hello") -> logs_service_pb2.ExportLogsServiceRequest:
    found = logs_service_pb2.ExportLogsServiceRequest()
    found.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=5).body.string_value = text
    return found


def test_stores_and_counts(server: Server) -> None:
    answer = server.stub.Export(request(), compression=grpc.Compression.Gzip)
    assert not answer.HasField("partial_success")
    assert [b.items for b in server.store.batches] == [1]
    assert server.ledger.totals(Signal.LOGS, "otlp_grpc").stored == 1


def test_overload_is_resource_exhausted_with_retry_info(server: Server) -> None:
    server.store.error = Overloaded("cannot take more: memory is full", 2.5)
    with pytest.raises(grpc.RpcError) as error:
        server.stub.Export(request())
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = dict(error.value.trailing_metadata())["grpc-status-details-bin"]
    info = error_details_pb2.RetryInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(info)
    assert info.retry_delay == duration_pb2.Duration(seconds=2, nanos=500_000_000)


def test_a_full_disk_is_unavailable(server: Server) -> None:
    server.store.error = StorageFull("cannot write: the disk is full")
    with pytest.raises(grpc.RpcError) as error:
        server.stub.Export(request())
    assert (error.value.code(), error.value.details()) == (
        grpc.StatusCode.UNAVAILABLE,
        "cannot write: the disk is full",
    )


def test_garbage_is_invalid_argument(server: Server) -> None:
    raw = server.channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
    with pytest.raises(grpc.RpcError) as error:
        raw(b"\xff\xff\xff")
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_body_over_the_limit_is_refused_inflated_or_not(server: Server, compression: grpc.Compression) -> None:
    with pytest.raises(grpc.RpcError) as error:
        server.stub.Export(request("x" * 1_000_000), compression=compression)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.store.batches == []


def test_a_port_in_use_is_told(server: Server) -> None:
    second = OtlpGrpc(Intake(Pipeline({}), Ledger()))
    with pytest.raises(ConfigError, match="--otlp-grpc"):
        second.start(server.address)


def test_senders_that_stall_do_not_hold_up_the_others() -> None:
    server = Server(body_s=0.5)
    call = server.channel.stream_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
    gone = threading.Event()

    def nothing() -> Iterator[bytes]:
        gone.wait(60)
        yield from ()

    stalled = [call.future(nothing()) for _ in range(2 * THREADS)]
    assert not server.stub.Export(request(), timeout=30).HasField("partial_success")
    assert {each.code() for each in stalled} == {grpc.StatusCode.CANCELLED}
    gone.set()
    server.close()


def test_queries_that_are_not_read_are_given_up_and_hold_up_nobody() -> None:
    ended = threading.Semaphore(0)

    def endless(body: bytes) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(1 << 20)
        finally:
            ended.release()

    server = Server(body_s=0.5, queries={"test.Query": {"Endless": endless}})
    call = server.channel.unary_stream("/test.Query/Endless")
    unread = [call(b"") for _ in range(limits.GRPC_QUERIES)]
    assert len(next(unread[0])) == 1 << 20
    assert not server.stub.Export(request(), timeout=30).HasField("partial_success")
    for _ in unread:
        assert ended.acquire(timeout=30)
    server.close()


def test_clients_that_read_slowly_hold_up_no_other_query_and_have_an_end() -> None:
    ended = threading.Semaphore(0)

    def endless(body: bytes) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(1 << 20)
        finally:
            ended.release()

    server = Server(query_s=2.0, queries={"test.Query": {"Endless": endless, "One": lambda body: iter([body])}})
    slow = [server.channel.unary_stream("/test.Query/Endless")(b"") for _ in range(4 * limits.GRPC_QUERIES)]
    told: list[grpc.StatusCode] = []

    def now_and_then() -> None:
        try:
            for _ in slow[0]:
                threading.Event().wait(0.1)
        except grpc.RpcError as e:
            told.append(e.code())

    reader = threading.Thread(target=now_and_then, daemon=True)
    reader.start()
    with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as other:
        assert list(other.unary_stream("/test.Query/One")(b"this", timeout=30)) == [b"this"]
    for _ in slow:
        assert ended.acquire(timeout=30)
    reader.join(30)
    assert told == [grpc.StatusCode.CANCELLED]
    server.close()


def test_a_bug_in_a_query_is_told_without_its_traceback() -> None:
    def broken(body: bytes) -> Iterator[bytes]:
        raise ZeroDivisionError("secret")

    server = Server(queries={"test.Query": {"Broken": broken}})
    with pytest.raises(grpc.RpcError) as error:
        list(server.channel.unary_stream("/test.Query/Broken")(b""))
    assert error.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in error.value.details()
    server.close()
