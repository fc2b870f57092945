"""Bodies of Zipkin and Jaeger, bent in every way: they are read, or refused in words; nothing else comes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from span_senders import SENDERS, Sent, ZipkinThrift

from obs.collector.receivers import thrift
from obs.collector.receivers.jaeger.columns import from_body
from obs.collector.receivers.jaeger.spans import from_thrift
from obs.collector.receivers.zipkin import messages, v1
from obs.collector.receivers.zipkin.columns import from_json
from obs.collector.receivers.zipkin.model import ZipkinSpan
from obs.collector.receivers.zipkin.spans import spans
from obs.errors import UserError
from obs.model.schema import SPANS
from obs.otlp.spans import decoded

SENT = [Sent(1 << 70 | 5, 7, 3, "get", 10, tag="x", event="e", failed=True), Sent(5, 8, 7, "put", 11, kind="CLIENT")]
JSON, V2, V1, PROTOBUF, ZIPKIN_THRIFT, JAEGER = (sender.body(SENT) for sender in SENDERS)  # type: ignore[attr-defined]


def zipkin(parse: Callable[[bytes], Iterable[ZipkinSpan]]) -> Callable[[bytes], Any]:
    return lambda body: decoded(spans(parse(body), 1))


READERS: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "v2 json": (zipkin(messages.from_json), V2),
    "v2 json by columns": (lambda body: from_json(body, 1), V2),
    "v1 json": (zipkin(v1.from_json), V1),
    "protobuf": (zipkin(messages.from_protobuf), PROTOBUF),
    "v1 thrift": (zipkin(v1.from_thrift), ZIPKIN_THRIFT),
    "jaeger": (lambda body: decoded(from_thrift(body)), JAEGER),
    "jaeger by columns": (from_body, JAEGER),
}


def read(name: str, body: bytes) -> None:
    """Read a body, or be told why not."""
    try:
        found = READERS[name][0](body)
    except UserError as e:
        assert str(e).startswith("cannot ")
        return
    table = found.batch.tables.get("spans")
    if table is not None:
        table.validate(full=True)
        assert table.schema.names[: len(SPANS.names)] == SPANS.names


@pytest.mark.parametrize("name", READERS)
def test_a_whole_body_is_read(name: str) -> None:
    assert READERS[name][0](READERS[name][1]).batch.items == len(SENT)


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_a_bent_body_is_read_or_refused(name: str, data: st.DataObject) -> None:
    body = bytearray(READERS[name][1])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not body:
            break
    read(name, bytes(body))


@pytest.mark.parametrize("name", READERS)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(name: str, body: bytes) -> None:
    read(name, body)


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5) | st.sampled_from(["1", "ff" * 8, "0", "CLIENT", "cs", "sr", "sa", "error", "true"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = st.sampled_from(
    ["traceId", "id", "parentId", "name", "kind", "timestamp", "duration", "localEndpoint", "remoteEndpoint", "tags",
     "annotations", "binaryAnnotations", "debug", "shared", "value", "key", "endpoint", "serviceName", "ipv4", "port"]
)  # fmt: skip
OBJECTS = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=4) | st.lists(
    st.dictionaries(KEYS, VALUES, max_size=4), max_size=2), max_size=8)  # fmt: skip


@pytest.mark.parametrize("name", ["v1 json", "v2 json", "v2 json by columns"])
@given(objects=st.lists(OBJECTS, max_size=3))
def test_any_json_is_read_or_refused(name: str, objects: list[Any]) -> None:
    valid = {"traceId": "1", "id": "2", "timestamp": 5}
    read(name, json.dumps([valid | one for one in objects]).encode())


@given(trace=st.integers(1, 2**128 - 1), span=st.integers(1, 2**64 - 1), parent=st.integers(0, 2**64 - 1))
def test_ids_of_thrift_are_unsigned(trace: int, span: int, parent: int) -> None:
    sent = Sent(trace, span, parent, "n", 1)
    (found,) = v1.from_thrift(ZipkinThrift().body([sent]))
    ids = (found.trace_id, found.span_id, found.parent_id)
    assert tuple(int.from_bytes(one) for one in ids) == (trace, span, parent)
    assert thrift.MAX_DEPTH >= 5
