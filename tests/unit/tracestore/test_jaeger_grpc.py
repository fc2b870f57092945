"""Jaeger's query services over gRPC by a real client: traces in OTLP (v3) and in Jaeger's model (v2), in messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from span_batches import SpanRow, spans_batch, trace_id

from obs.collector.ledger import Ledger
from obs.collector.pipeline import Pipeline
from obs.collector.receivers.otlp.grpc_server import OtlpGrpc
from obs.collector.receivers.otlp.intake import Intake
from obs.tracestore import grpc_jaeger, limits
from obs.tracestore.jaeger_messages import V2, V3
from obs.tracestore.store import TraceStore

S, MS = 10**9, 10**6
NOW = 1_700_000_000 * S
LINK = {"trace_id": trace_id(2), "span_id": b"\0" * 7 + b"\x09", "trace_state": "", "attributes": "{}"}
EVENT = {"time_ns": NOW + 5, "name": "exception", "attributes": '{"n":7}', "dropped": 0}
MANY = 3_000
ROWS = [
    SpanRow(1, 1, 0, "web", "GET /", NOW, NOW + 200 * MS, kind=2, attributes={"n": 2**60, "ok": True, "x": 1.5}),
    SpanRow(1, 2, 1, "cart", "add", NOW + 10 * MS, NOW + 150 * MS, kind=0, status=2, links=(LINK,), events=(EVENT,),
            attributes={"raw": b"\x01"}, resource={"host.name": "h1"}),
    SpanRow(2, 9, 8, "cart", "sweep", NOW + S, NOW + 3 * S),
    *(SpanRow(3, n, 0, "big", "row", NOW + 9 * S + n, NOW + 10 * S, attributes={"text": "x" * 1000})
      for n in range(1, MANY + 1)),
]  # fmt: skip


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    store = TraceStore(tmp_path_factory.mktemp("traces") / "traces")
    store.open()
    store.consume(spans_batch(*ROWS))
    server = OtlpGrpc(Intake(Pipeline({}), Ledger()), queries=grpc_jaeger.services(store))
    address = f"127.0.0.1:{server.start('127.0.0.1:0')}"
    with grpc.insecure_channel(address) as found:
        yield found
    server.close(0)
    store.close()


def one(channel: grpc.Channel, method: str, request: Any, answer: Any) -> Any:
    """What a method of one answer says."""
    call = channel.unary_unary(f"/jaeger.{method}", lambda m: m.SerializeToString(), answer.FromString)
    return call(request, timeout=30)


def stream(channel: grpc.Channel, method: str, request: Any, answer: Any) -> list[Any]:
    """What a method of many answers says."""
    call = channel.unary_stream(f"/jaeger.{method}", lambda m: m.SerializeToString(), answer.FromString)
    return list(call(request, timeout=30))


def spans(messages: list[TracesData]) -> list[tuple[str, Any]]:
    """(service, span) of all."""
    return [
        (holder.resource.attributes[-1].value.string_value, span)
        for message in messages
        for holder in message.resource_spans
        for scope in holder.scope_spans
        for span in scope.spans
    ]


@pytest.mark.parametrize(("version", "messages", "no_kind"), [("api_v3", V3, "internal"), ("api_v2", V2, "")])
def test_names_and_dependencies(channel: grpc.Channel, version: str, messages: Any, no_kind: str) -> None:
    service = f"{version}.QueryService"
    found = one(channel, f"{service}/GetServices", messages["Services"](), messages["Services"])
    assert list(found.services) == ["big", "cart", "web"]
    asked = messages["GetOperations"](service="cart")
    found = one(channel, f"{service}/GetOperations", asked, messages["Operations"])
    assert [(o.name, o.span_kind) for o in found.operations] == [("add", no_kind), ("sweep", "internal")]
    asked = messages["GetOperations"](service="web", span_kind="client")
    assert not one(channel, f"{service}/GetOperations", asked, messages["Operations"]).operations
    asked = messages["GetDependencies"](start_time={"seconds": NOW // S - 9}, end_time={"seconds": NOW // S + 9})
    found = one(channel, f"{service}/GetDependencies", asked, messages["Dependencies"])
    assert [(d.parent, d.child, d.call_count) for d in found.dependencies] == [("web", "cart", 1)]


def test_a_trace_comes_as_otlp(channel: grpc.Channel) -> None:
    found = spans(stream(channel, "api_v3.QueryService/GetTrace", V3["GetTrace"](trace_id="1"), TracesData))
    assert [(service, s.name, s.span_id[-1]) for service, s in found] == [("web", "GET /", 1), ("cart", "add", 2)]
    add = found[1][1]
    assert (add.start_time_unix_nano, add.status.code, add.events[0].name) == (NOW + 10 * MS, 2, "exception")
    assert add.links[0].trace_id == trace_id(2)


def test_a_trace_comes_in_jaegers_model(channel: grpc.Channel) -> None:
    (found,) = stream(channel, "api_v2.QueryService/GetTrace", V2["GetTrace"](trace_id=trace_id(1)), V2["Spans"])
    root, add = found.spans
    values = {tag.key: (tag.v_type, tag.v_int64, tag.v_bool, tag.v_float64) for tag in root.tags}
    assert values["n"] == (2, 2**60, False, 0)
    assert values["ok"] == (1, 0, True, 0)
    assert values["x"] == (3, 0, False, 1.5)
    assert (root.trace_id, root.start_time.seconds, root.duration.nanos) == (trace_id(1), NOW // S, 200 * MS)
    assert [(r.ref_type, r.trace_id, r.span_id[-1]) for r in add.references] == [
        (0, trace_id(1), 1), (1, trace_id(2), 9),
    ]  # fmt: skip
    assert (add.process.service_name, [t.v_str for t in add.process.tags]) == ("cart", ["h1"])
    assert {tag.key: tag.v_bool for tag in add.tags}["error"]
    assert next(tag for tag in add.tags if tag.key == "raw").v_binary == b"\x01"
    assert [(f.key, f.v_str, f.v_int64) for f in add.logs[0].fields] == [("event", "exception", 0), ("n", "", 7)]
    (orphan,) = stream(channel, "api_v2.QueryService/GetTrace", V2["GetTrace"](trace_id=b"\x02"), V2["Spans"])
    assert "not stored" in orphan.spans[0].warnings[0]


SEARCHES: list[tuple[dict[str, Any], set[str]]] = [
    ({"service_name": "cart"}, {"add", "sweep", "GET /"}),
    ({"service_name": "cart", "operation_name": "sweep"}, {"sweep"}),
    ({"tags": [{"key": "error", "value": "true"}]}, {"add", "GET /"}),
    ({"duration_min": {"seconds": 1, "nanos": 1}, "duration_max": {"seconds": 3}}, {"sweep"}),
    ({"start_time_min": {"seconds": NOW // S + 1}, "start_time_max": {"seconds": NOW // S + 2}}, {"sweep"}),
    ({"service_name": "cart", "search_depth": 1}, {"sweep"}),
    ({"service_name": "nobody"}, set()),
]


@pytest.mark.parametrize(("query", "names"), SEARCHES)
def test_searches_stream_whole_traces(channel: grpc.Channel, query: dict[str, Any], names: set[str]) -> None:
    asked = V3["FindTraces"](query=query)
    found = spans(stream(channel, "api_v3.QueryService/FindTraces", asked, TracesData))
    assert {span.name for _, span in found} == names
    of_v2 = stream(channel, "api_v2.QueryService/FindTraces", asked, V2["Spans"])
    assert {span.operation_name for message in of_v2 for span in message.spans} == names
    shown = stream(channel, "api_v3.QueryService/FindTraceSummaries", asked, V3["Summaries"])
    assert {t.trace_id for message in shown for t in message.summaries} == {s.trace_id.hex() for _, s in found}


def test_summaries_tell_spans_errors_and_orphans(channel: grpc.Channel) -> None:
    asked = V3["FindTraces"](query={"service_name": "cart"})
    (found,) = stream(channel, "api_v3.QueryService/FindTraceSummaries", asked, V3["Summaries"])
    sweep, cart = found.summaries
    assert (sweep.orphan_span_count, cart.span_count, cart.error_span_count) == (1, 2, 1)
    assert [(s.name, s.error_span_count) for s in cart.services] == [("cart", 1), ("web", 0)]
    assert (cart.root_service_name, cart.max_end_time_unix_nano) == ("web", NOW + 200 * MS)


@pytest.mark.parametrize("version", ["api_v3", "api_v2"])
def test_large_traces_come_in_messages_that_clients_take(channel: grpc.Channel, version: str) -> None:
    asked = V3["GetTrace"](trace_id="3") if version == "api_v3" else V2["GetTrace"](trace_id=trace_id(3))
    call = channel.unary_stream(f"/jaeger.{version}.QueryService/GetTrace")
    found = list(call(asked.SerializeToString(), timeout=60))
    assert len(found) > 3
    assert max(map(len, found)) <= limits.GRPC_MESSAGE_BYTES
    counts = [
        len(spans([TracesData.FromString(m)])) if version == "api_v3" else len(V2["Spans"].FromString(m).spans)
        for m in found
    ]
    assert sum(counts) == MANY


@pytest.mark.parametrize(
    ("method", "request_body", "code", "said"),
    [
        ("api_v3.QueryService/GetTrace", V3["GetTrace"](trace_id="77").SerializeToString(), "NOT_FOUND", "trace not"),
        ("api_v2.QueryService/GetTrace", V2["GetTrace"](trace_id=b"\x77").SerializeToString(), "NOT_FOUND", "trace"),
        ("api_v3.QueryService/GetTrace", V3["GetTrace"](trace_id="xy").SerializeToString(), "INVALID_ARGUMENT", "hex"),
        ("api_v3.QueryService/GetTrace", b"", "INVALID_ARGUMENT", "cannot read trace id"),
        ("api_v3.QueryService/GetOperations", b"", "INVALID_ARGUMENT", "'service' is required"),
        ("api_v3.QueryService/FindTraces", b"\xff\xff", "INVALID_ARGUMENT", "cannot read the request"),
        ("api_v3.QueryService/FindTraces", V3["FindTraces"](query={"filter": b"\x0a"}).SerializeToString(),
         "INVALID_ARGUMENT", "structured filters"),
        ("api_v3.QueryService/FindTraces", V3["FindTraces"](query={"search_depth": -1}).SerializeToString(),
         "INVALID_ARGUMENT", "below zero"),
        ("api_v2.QueryService/ArchiveTrace", b"", "INVALID_ARGUMENT", "archive"),
        ("api_v2.QueryService/Nothing", b"", "UNIMPLEMENTED", ""),
    ],
)  # fmt: skip
def test_errors_are_statuses(channel: grpc.Channel, method: str, request_body: bytes, code: str, said: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        list(channel.unary_stream(f"/jaeger.{method}")(request_body, timeout=30))
    assert error.value.code().name == code
    assert said in error.value.details()
