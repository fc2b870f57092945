"""Zipkin's JSON by columns and span by span: the same batch, or it is left to the plain way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.collector.receivers import tag_columns
from obs.collector.receivers.tag_columns import Unusual
from obs.collector.receivers.zipkin.columns import by_columns
from obs.collector.receivers.zipkin.messages import from_objects
from obs.collector.receivers.zipkin.spans import spans
from obs.otlp.spans import decoded

PLAIN: dict[str, Any] = {"traceId": "ab" * 16, "id": "7", "name": "get", "timestamp": 10, "duration": 5}
TEXTS = st.sampled_from(["", "a", "true", "false", "ERROR", "OK", "server", "1.2.3.4", "ä"])
TAGS = st.dictionaries(
    st.sampled_from(
        ["a", "error", "otel.status_code", "otel.status_description", "span.kind", "otel.scope.name", "w3c.tracestate",
         "otel.library.name", "otel.scope.version", "service.name", "host.name", "peer.service", "net.host.port",
         "net.peer.ip", "zipkin.shared"]
    ),
    TEXTS,
    max_size=5,
)  # fmt: skip
ENDPOINTS = st.fixed_dictionaries(
    {}, optional={"serviceName": TEXTS, "ipv4": TEXTS, "ipv6": TEXTS, "port": st.sampled_from([0, 80, 9411])}
)
NOTES = st.lists(
    st.fixed_dictionaries({"timestamp": st.integers(0, 99), "value": st.sampled_from(["x", 'e|{"k":1}|2'])}), max_size=2
)
USUAL = st.fixed_dictionaries(
    {"id": st.sampled_from(["7", "00000000000000AB"]), "timestamp": st.integers(1, 2**50)},
    optional={
        "traceId": st.sampled_from(["5", "f" * 32]), "parentId": st.sampled_from(["7", "0", "", None, "9" * 16]),
        "name": TEXTS | st.none(),
        "kind": st.sampled_from(["CLIENT", "server", "odd", "", None]),
        "tags": TAGS | st.none(), "duration": st.none() | st.integers(0, 2**40), "localEndpoint": ENDPOINTS | st.none(),
        "remoteEndpoint": ENDPOINTS,
        "annotations": NOTES | st.none(), "shared": st.booleans(), "debug": st.booleans(),
    },
)  # fmt: skip
ODD = st.fixed_dictionaries(
    {},
    optional={
        "traceId": st.sampled_from(["", "0", "g", " 5", "f" * 33, None, 5]), "id": st.sampled_from(["0", "+7", None]),
        "parentId": st.sampled_from(["x", 0, False, "1" * 17]),
        "timestamp": st.sampled_from([None, 0, -1, "7", 1.5, 2**64]),
        "duration": st.sampled_from([-1, "5", 2**62, True]),
        "tags": st.sampled_from([{"a": 1}, {"a": None}, {"a": []}, 3]),
        "localEndpoint": st.sampled_from([{"port": "80"}, {"port": -(2**63)}, {"ipv4": 0}, []]),
        "annotations": st.sampled_from([{}, [{"timestamp": -5}], [{"value": 3}], [1]]), "kind": st.just(4),
    },
)  # fmt: skip


def both(objects: list[dict[str, Any]]) -> bool:
    """Whether columns read them; if so, as the plain way does."""
    try:
        found = by_columns(objects)
    except Unusual:
        return False
    plain = decoded(spans(from_objects(objects), 1))
    assert found.rejected == plain.rejected == {}
    ours, theirs = found.batch.tables["spans"], plain.batch.tables["spans"]
    ours.validate(full=True)
    assert ours.schema == theirs.schema
    assert ours.to_pylist() == theirs.to_pylist()
    return True


@given(st.lists(USUAL, min_size=1, max_size=6))
def test_what_is_usual_is_read_by_columns_as_span_by_span(objects: list[dict[str, Any]]) -> None:
    assert both([PLAIN | one for one in objects])


@given(st.lists(USUAL | ODD, min_size=1, max_size=4))
def test_what_is_odd_is_read_alike_or_left_to_the_plain_way(objects: list[dict[str, Any]]) -> None:
    both([PLAIN | one for one in objects])


@pytest.mark.parametrize("field", ["traceId", "id", "timestamp"])
def test_a_span_that_is_refused_is_left_to_the_plain_way(field: str) -> None:
    assert not both([PLAIN, {**PLAIN, field: None}])


def test_more_attributes_than_columns_are_left_to_the_plain_way() -> None:
    assert not both([PLAIN | {"tags": {f"k{i}": "v" for i in range(600)}}])
    assert both([PLAIN | {"tags": {f"k{i}": "v" for i in range(400)}}])
    assert not both([PLAIN | {"tags": {f"k{i}": "v"}} for i in range(600)])


def test_wide_and_long_bodies_are_left_to_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_columns, "MAX_CELLS", 20)
    assert both([PLAIN | {"tags": {f"k{i}": "v"}} for i in range(4)])
    assert not both([PLAIN | {"tags": {f"k{i}": "v"}} for i in range(5)])
