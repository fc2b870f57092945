"""Bodies of Zipkin and Jaeger: what becomes what, what is refused and how, what no body may cost."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from obs.collector.ledger import Ledger
from obs.collector.limits import BodySizes
from obs.collector.pipeline import Pipeline
from obs.collector.receivers import thrift
from obs.collector.receivers.jaeger.http import JaegerSpans
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.zipkin import http, messages, v1
from obs.collector.receivers.zipkin.http import ZipkinSpans
from obs.collector.receivers.zipkin.messages import ListOfSpans
from obs.errors import Overloaded, UserError
from obs.model.batch import Batch, Signal
from obs.otlp.limits import MAX_NESTING

ZIPKIN = {"traceId": "1", "id": "2", "timestamp": 10}


class Taken:
    """Keeps what it takes; refuses the first `refusals`."""

    def __init__(self) -> None:
        self.refusals, self.batches = 0, list[Batch]()

    def consume(self, batch: Batch) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Overloaded("cannot take batch: full; send it again", 0.01)
        self.batches.append(batch)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What was taken, without what is null."""
        rows = [row for batch in self.batches for row in batch.tables["spans"].to_pylist()]
        return [{k: v for k, v in row.items() if v is not None} for row in rows]


@pytest.fixture
def store() -> Taken:
    return Taken()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def client(store: Taken, ledger: Ledger) -> Iterator[TestClient]:
    intake = Intake(Pipeline({Signal.TRACES: store}), ledger)
    zipkin, jaeger = ZipkinSpans(intake, BodySizes(4096, 8192)), JaegerSpans(intake, BodySizes(4096, 8192))
    with TestClient(Starlette(routes=[*zipkin.routes(), *jaeger.routes()])) as found:
        yield found
    zipkin.close()
    jaeger.close()


def zipkin(client: TestClient, *spans: Mapping[str, Any], path: str = http.V2) -> Any:
    return client.post(path, content=json.dumps(spans))


def test_a_zipkin_span_becomes_a_span(client: TestClient, store: Taken) -> None:
    tags = {
        "http.method": "GET", "error": "no route", "otel.scope.name": "lib", "otel.scope.version": "1",
        "w3c.tracestate": "a=b", "host.name": "web-1", "count": 3,
    }  # fmt: skip
    span = ZIPKIN | {
        "parentId": "3", "name": "get", "kind": "CLIENT", "duration": 5, "debug": True, "tags": tags,
        "localEndpoint": {"serviceName": "Front", "ipv4": "10.0.0.1"},
        "remoteEndpoint": {"serviceName": "cart", "port": 80},
        "annotations": [{"timestamp": 11, "value": 'retry|{"n":2}|1'}, {"timestamp": 12, "value": "plain"}],
    }  # fmt: skip
    assert zipkin(client, span).status_code == 202
    (row,) = store.rows
    assert row == {
        "trace_id": bytes(15) + b"\1", "span_id": bytes(7) + b"\2", "parent_span_id": bytes(7) + b"\3",
        "trace_state": "a=b", "flags": 0, "name": "get", "kind": 3, "start_ns": 10_000, "end_ns": 15_000,
        "status_code": 2, "status_message": "no route", "scope_name": "lib", "scope_version": "1", "links": [],
        "events": [
            {"time_ns": 11_000, "name": "retry", "attributes": '{"n":2}', "dropped": 1},
            {"time_ns": 12_000, "name": "plain", "attributes": "{}", "dropped": 0},
        ],
        "dropped_attributes": 0, "dropped_events": 0, "dropped_links": 0,
        "resource.service.name:str": "Front", "resource.host.name:str": "web-1", "attr.http.method:str": "GET",
        "attr.count:int": 3, "attr.net.host.ip:str": "10.0.0.1", "attr.peer.service:str": "cart",
        "attr.net.peer.port:int": 80, "attr.zipkin.debug:bool": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tags", "status", "message", "left"),
    [
        ({}, 0, None, {}),
        ({"error": "true"}, 2, None, {}),
        ({"error": ""}, 2, None, {"attr.error:str": ""}),
        ({"error": "false"}, 0, None, {"attr.error:str": "false"}),
        ({"error": "boom"}, 2, "boom", {}),
        ({"otel.status_code": "OK"}, 1, None, {}),
        ({"otel.status_code": "ERROR", "otel.status_description": "x", "error": "x"}, 2, "x", {}),
    ],
)
def test_the_status_is_in_the_tags(
    client: TestClient, store: Taken, tags: dict[str, str], status: int, message: str | None, left: dict[str, str]
) -> None:
    zipkin(client, ZIPKIN | {"tags": tags})
    (row,) = store.rows
    assert (row["status_code"], row.get("status_message")) == (status, message)
    assert {k: v for k, v in row.items() if k.startswith("attr.")} == left


def test_a_span_without_a_time_began_with_its_first_annotation(client: TestClient, store: Taken) -> None:
    span = {"traceId": "1", "id": "2", "annotations": [{"timestamp": 9, "value": "b"}, {"timestamp": 7, "value": "a"}]}
    zipkin(client, span, {"traceId": "1", "id": "3"})
    first, second = store.rows
    assert first["start_ns"] == 7_000
    assert second["start_ns"] > 10**18
    assert first["attr.otel.zipkin.absentField.startTime:bool"] is True


def test_values_nested_without_end_are_refused_in_words(client: TestClient, store: Taken) -> None:
    deep = "[" * (MAX_NESTING + 1) + "]" * (MAX_NESTING + 1)
    answer = client.post(http.V2, content=f'[{{"traceId": "1", "id": "2", "timestamp": 10, "tags": {{"a": {deep}}}}}]')
    assert (answer.status_code, answer.text.startswith("cannot store a value: its lists")) == (400, True)
    told = {"timestamp": 11, "value": f'retry|{{"a":{deep}}}|0'}
    assert zipkin(client, ZIPKIN | {"annotations": [told]}).status_code == 400
    assert store.rows == []


def test_a_count_in_digits_that_are_none_is_part_of_the_name(client: TestClient, store: Taken) -> None:
    assert zipkin(client, ZIPKIN | {"annotations": [{"timestamp": 11, "value": "retry|{}|²"}]}).status_code == 202
    assert [event["name"] for event in store.rows[0]["events"]] == ["retry|{}|²"]


@pytest.mark.parametrize(
    ("faulty", "reason"),
    [
        ({"traceId": "0"}, "invalid_trace_id"),
        ({"traceId": "xyz"}, "invalid_trace_id"),
        ({"traceId": "1" * 33}, "invalid_trace_id"),
        ({"traceId": None}, "invalid_trace_id"),
        ({"id": 5}, "invalid_span_id"),
        ({"parentId": "q"}, "invalid_parent_span_id"),
        ({"timestamp": 2**62}, "time_out_of_range"),
        ({"timestamp": -5}, "time_out_of_range"),
    ],
)
def test_spans_that_cannot_be_stored_are_told_and_the_others_are_stored(
    client: TestClient, store: Taken, ledger: Ledger, faulty: dict[str, Any], reason: str
) -> None:
    answer = zipkin(client, ZIPKIN | faulty, ZIPKIN)
    assert answer.status_code == 400
    assert answer.text.startswith("cannot store 1 spans: 1 because ")
    assert len(store.rows) == 1
    totals = ledger.totals(Signal.TRACES, "zipkin")
    assert (totals.received, totals.stored, totals.dropped, totals.balanced) == (2, 1, {reason: 1}, True)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "no JSON"),
        (b"{}", 400, "no list of objects"),
        (b"null", 400, "no list of objects"),
        (b"[1]", 400, "no list of objects"),
        (b'[{"traceId":"1","id":"2","tags":[]}]', 400, '"tags" of span 0'),
        (b'[{"traceId":"1","id":"2","name":5}]', 400, '"name" of span 0'),
        (b'[{"traceId":"1","id":"2","timestamp":"soon"}]', 400, '"timestamp" of span 0'),
        (b'[{"traceId":"1","id":"2","timestamp":true}]', 400, '"timestamp" of span 0'),
        (b'[{"traceId":"1","id":"2","annotations":{}}]', 400, '"annotations" of span 0'),
        (b'[{"traceId":"1","id":"2","localEndpoint":"a"}]', 400, "an endpoint of span 0"),
        (b"[" + b" " * 5000 + b"]", 413, "the limit is 4096"),
        (b"[" * 2000, 400, "no JSON"),
    ],
)
def test_bodies_that_are_none_are_told(client: TestClient, body: bytes, status: int, words: str) -> None:
    answer = client.post(http.V2, content=body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert answer.text.startswith("cannot ")


@pytest.mark.parametrize(
    ("path", "media"), [(http.V1, http.PROTOBUF[0]), (http.V2, http.THRIFT[0]), ("/jaeger/api/traces", "text/plain")]
)
def test_a_type_that_is_read_elsewhere_is_told(client: TestClient, path: str, media: str) -> None:
    answer = client.post(path, content=b"x", headers={"Content-Type": media})
    assert (answer.status_code, media in answer.text) == (415, True)


@pytest.mark.parametrize(
    ("path", "body", "media"),
    [
        (http.V2, b"[%s]" % json.dumps(ZIPKIN).encode(), "application/json"),
        ("/jaeger/api/traces", bytes.fromhex("0f00020c00000001") + b"\x0a\x00\x01" + struct.pack(">q", 5)
         + b"\x0a\x00\x03" + struct.pack(">q", 6) + b"\0\0", "application/x-thrift"),
    ],
)  # fmt: skip
def test_a_full_store_says_when_to_come_back(
    client: TestClient, store: Taken, path: str, body: bytes, media: str
) -> None:
    store.refusals = 1
    answer = client.post(path, content=body, headers={"Content-Type": media})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert not store.batches
    assert client.post(path, content=body, headers={"Content-Type": media}).status_code == 202
    assert len(store.rows) == 1


def test_protobuf_says_the_same_as_json(client: TestClient, store: Taken) -> None:
    message = ListOfSpans()
    span = message.spans.add(trace_id=b"\1", id=b"\2", kind=2, name=b"\xff", timestamp=10, shared=True)
    span.local_endpoint.service_name = b"cart"
    span.local_endpoint.ipv4 = bytes([10, 0, 0, 1])
    span.tags.add(key=b"k", value=b"v")
    media = {"Content-Type": "application/x-protobuf"}
    assert client.post(http.V2, content=message.SerializeToString(), headers=media).status_code == 202
    zipkin(client, ZIPKIN | {
        "kind": "SERVER", "name": "\ufffd", "shared": True, "tags": {"k": "v"},
        "localEndpoint": {"serviceName": "cart", "ipv4": "10.0.0.1"},
    })  # fmt: skip
    assert store.rows[0] == store.rows[1]


def v1_span(*annotations: tuple[str, int, str], binary: list[dict[str, Any]] | None = None, **more: Any) -> Any:
    notes = [{"value": v, "timestamp": t, "endpoint": {"serviceName": s}} for v, t, s in annotations]
    (*found,) = v1.from_json(
        json.dumps(
            [{"traceId": "1", "id": "2", "annotations": notes, "binaryAnnotations": binary or [], **more}]
        ).encode()
    )
    return found


def test_a_v1_span_of_both_sides_is_two_spans() -> None:
    tag = {"key": "path", "value": "/", "endpoint": {"serviceName": "cart"}}
    found = v1_span(
        ("cs", 10, "web"), ("sr", 12, "cart"), ("work", 13, "cart"), ("ss", 15, "cart"), ("cr", 20, "web"),
        binary=[tag], timestamp=10, duration=10,
    )  # fmt: skip
    assert [(s.kind, s.local.service, s.timestamp_us, s.duration_us, s.shared) for s in found] == [
        ("CLIENT", "web", 10, 10, False), ("SERVER", "cart", 12, 3, True),
    ]  # fmt: skip
    assert [a.value for a in found[1].annotations] == ["work"]
    assert (found[0].tags, found[1].tags) == ({}, {"path": "/"})


def test_a_v1_server_that_names_no_time_of_its_own_shares_its_clients_id() -> None:
    notes = [("sr", 12, "cart"), ("ss", 15, "cart")]
    (span,) = v1_span(*notes)
    assert (span.kind, span.timestamp_us, span.duration_us, span.shared) == ("SERVER", 12, 3, True)
    (span,) = v1_span(*notes, timestamp=12, duration=3)
    assert (span.kind, span.timestamp_us, span.duration_us, span.shared) == ("SERVER", 12, 3, False)


def test_v1_addresses_are_the_other_side() -> None:
    there = {"key": "sa", "value": True, "endpoint": {"serviceName": "db", "ipv4": "10.0.0.9", "port": 3306}}
    (span,) = v1_span(("cs", 10, "web"), ("cr", 20, "web"), binary=[there])
    assert (span.kind, span.remote.service, span.remote.port, span.duration_us) == ("CLIENT", "db", 3306, 10)
    (span,) = v1_span(binary=[there], timestamp=1)
    assert (span.kind, span.remote.service) == ("CLIENT", "db")
    (span,) = v1_span(binary=[{"key": "lc", "value": "cron", "endpoint": {"serviceName": "job"}}], timestamp=1)
    assert (span.kind, span.local.service, span.tags) == ("", "job", {"component": "cron"})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cut off"),
        (b"\x0c\x00\x00\x00\x05", "a length of 5"),
        (b"\x0c\xff\xff\xff\xff", "a length of -1"),
        (b"\x0c\x00\x00\x00\x01\x0b\x00\x01\x7f\xff\xff\xff", "a length"),
        (b"\x0c\x00\x00\x00\x01" + b"\x0f\x00\x01" + b"\x0f\x00\x00\x00\x01" * 40, "deeper than 16"),
        (b"\x0c\x00\x00\x00\x01" + b"\x0c\x00\x01" * 100_000, "deeper than 16"),
        (b"\x63\x00\x00\x00\x01\x00", "99 is no type"),
        (b"\x08\x00\x00\x00\x01\x00\x00\x00\x01", "no list of structs"),
        (b"\x0c\x00\x00\x00\x01\x0b\x00\x01\x00\x00\x00\x00\x00", "field 1 of a struct is no number"),
        (b"\x0c\x00\x00\x00\x01\x08\x00\x06\x00\x00\x00\x00\x00", "field 6 is no list of structs"),
    ],
)
def test_thrift_that_is_none_is_told(body: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        list(v1.from_thrift(body))


def test_protobuf_of_very_many_spans_or_parts_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="more than 1000000 items"):
        messages.from_protobuf(b"\x0a\x00" * 1_000_001)
    monkeypatch.setattr(messages, "MAX_PARTS", 20)
    for part in (b"\x52\x00", b"\x5a\x00"):
        with pytest.raises(UserError, match="more than 20 items"):
            messages.from_protobuf(b"\x0a\x40" + part * 32)


def test_thrift_of_very_many_parts_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thrift, "MAX_PARTS", 100)
    with pytest.raises(UserError, match="more than 100 parts"):
        list(v1.from_thrift(b"\x0c\x00\x00\x00\x65" + bytes(101)))
