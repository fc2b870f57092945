"""Jaeger's Thrift by columns and span by span: the same batch, or it is left to the plain way."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.collector.receivers.jaeger.columns import by_columns
from obs.collector.receivers.jaeger.spans import from_thrift
from obs.collector.receivers.tag_columns import Unusual
from obs.errors import UserError
from obs.otlp.spans import decoded

KEYS = st.sampled_from(
    ["a", "b", "error", "span.kind", "otel.status_code", "otel.status_description", "otel.scope.name", "w3c.tracestate",
     "otel.library.version"]
)  # fmt: skip
VALUES = (
    st.sampled_from(["", "x", "true", "ERROR", "OK", "server", "Client"]) | st.booleans() | st.integers(-9, 2**62)
    | st.floats(allow_nan=False) | st.binary(max_size=3)
)  # fmt: skip
TAGS = st.lists(st.tuples(KEYS, VALUES), max_size=5)
REFERENCES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 3)), max_size=2)
SPANS = st.lists(
    st.fixed_dictionaries(
        {
            "trace": st.integers(1, 3), "span": st.integers(1, 2**63 - 1), "parent": st.sampled_from([0, 0, 1, -1]),
            "name": st.sampled_from(["", "get", "ä"]), "start": st.integers(0, 2**50), "took": st.integers(0, 2**40),
            "tags": TAGS, "logs": st.lists(st.tuples(st.integers(0, 99), TAGS), max_size=2), "references": REFERENCES,
        }
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip


def field(kind: int, number: int, form: str, *values: Any) -> bytes:
    return struct.pack(">bh" + form, kind, number, *values)


def text(number: int, value: bytes) -> bytes:
    return field(11, number, "i", len(value)) + value


def structs(number: int, parts: list[bytes]) -> bytes:
    return field(15, number, "bi", 12, len(parts)) + b"".join(part + b"\0" for part in parts)


def tag(key: str, value: Any) -> bytes:
    forms = {bool: (2, 2, 5, "b"), int: (3, 10, 6, "q"), float: (1, 4, 4, "d")}
    if isinstance(value, str | bytes):
        type_, place, raw = (0, 3, value.encode()) if isinstance(value, str) else (4, 7, value)
        return text(1, key.encode()) + field(8, 2, "i", type_) + text(place, raw)
    type_, kind, place, form = forms[type(value)]
    return text(1, key.encode()) + field(8, 2, "i", type_) + field(kind, place, form, value)


def span(one: dict[str, Any]) -> bytes:
    numbers = {1: one["trace"], 2: 7, 3: one["span"], 4: one["parent"], 8: one["start"], 9: one["took"]}
    references = [
        field(8, 1, "i", kind) + field(10, 2, "q", trace) + field(10, 3, "q", 7) + field(10, 4, "q", of)
        for kind, trace, of in one["references"]
    ]
    logs = [field(10, 1, "q", at) + structs(2, [tag(*t) for t in tags]) for at, tags in one["logs"]]
    return (
        b"".join(field(10, number, "q", value) for number, value in numbers.items()) + text(5, one["name"].encode())
        + structs(6, references) + field(8, 7, "i", 1) + structs(10, [tag(*t) for t in one["tags"]]) + structs(11, logs)
    )  # fmt: skip


def body(spans: list[dict[str, Any]]) -> bytes:
    process = text(1, b"cart") + structs(2, [tag("hostname", "h1"), tag("pid", 7), tag("up", True)])
    return field(12, 1, "") + process + b"\0" + structs(2, [span(one) for one in spans]) + b"\0"


def both(given_body: bytes) -> bool:
    """Whether columns read it; if so, as the plain way does."""
    try:
        found = by_columns(given_body)
    except Unusual:
        return False
    plain = decoded(from_thrift(given_body))
    assert found.rejected == plain.rejected == {}
    ours, theirs = found.batch.tables["spans"], plain.batch.tables["spans"]
    ours.validate(full=True)
    assert ours.schema == theirs.schema
    assert ours.to_pylist() == theirs.to_pylist()
    return True


@given(SPANS)
def test_what_is_usual_is_read_by_columns_as_span_by_span(spans: list[dict[str, Any]]) -> None:
    numbers = any(key == "error" and type(value) in (int, float) for one in spans for key, value in one["tags"])
    assert both(body(spans)) or numbers


@given(spans=SPANS, data=st.data())
def test_what_is_bent_is_read_alike_or_left_to_the_plain_way(spans: list[dict[str, Any]], data: st.DataObject) -> None:
    bent = bytearray(body(spans))
    for _ in range(data.draw(st.integers(1, 3))):
        bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
    try:
        both(bytes(bent))
    except UserError as e:
        pytest.fail(f"read by columns and not span by span: {e}")


ONE: dict[str, Any] = {
    "trace": 1, "span": 1, "parent": 0, "name": "n", "start": 5, "took": 1, "tags": [], "logs": [], "references": [],
}  # fmt: skip


@pytest.mark.parametrize("odd", [{"span": 0}, {"start": -1}, {"start": 2**62}, {"took": -9}, {"logs": [(-1, [])]}])
def test_a_span_that_is_refused_is_left_to_the_plain_way(odd: dict[str, Any]) -> None:
    assert both(body([ONE]))
    assert not both(body([ONE, ONE | odd]))
