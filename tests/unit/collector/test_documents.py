"""Documents of any sender: what becomes of their times, levels, messages and names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.collector.receivers.documents import record, severity, time_ns
from obs.collector.receivers.elasticsearch import bulk
from obs.collector.receivers.splunk import events
from obs.otlp.limits import MAX_NESTING
from obs.otlp.records import decoded

T = 1_700_000_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (T, T * 10**9),
        (T * 1000 + 5, T * 10**9 + 5_000_000),
        (T * 10**6 + 5, T * 10**9 + 5_000),
        (T * 10**9 + 5, T * 10**9 + 5),
        (T + 0.25, T * 10**9 + 250_000_000),
        (f"{T}.123456789", T * 10**9 + 123_456_789),
        (str(T), T * 10**9),
        ("2023-11-14T22:13:20Z", T * 10**9),
        ("2023-11-14T22:13:20.123456789+00:00", T * 10**9 + 123_456_789),
        ("2023-11-14 23:13:20,5+01:00", T * 10**9 + 500_000_000),
        ("2023-11-14T22:13:20", T * 10**9),
        ("yesterday", 0), ("", 0), (None, 0), (True, 0), (-5, 0), (float("nan"), 0), (float("inf"), 0), ([1], 0),
    ],
)  # fmt: skip
def test_times(value: Any, expected: int) -> None:
    assert time_ns(value) == expected


@pytest.mark.parametrize(("word", "number"), [("INFO", 9), (" Warning ", 13), ("crit", 18), ("blue", 0), ("", 0)])
def test_severities(word: str, number: int) -> None:
    assert severity(word) == number


def test_a_document_under_the_names_of_opentelemetry() -> None:
    found = record(
        {
            "@timestamp": "2023-11-14T22:13:20Z", "message": "paid", "log": {"level": "warn", "file": {"path": "/x"}},
            "host": {"name": "h"}, "kubernetes": {"pod_name": "p", "container_name": "c", "labels": {"tier": "web"}},
            "trace": {"id": "0af7651916cd43dd8448eb211c80319c"}, "n": 5, "f": 0.5, "ok": True, "list": [1, "a"],
            "none": None, "big": 1 << 70,
        },
        {"tag": "kube.x"},
    )  # fmt: skip
    assert (found.body, found.time_ns, found.severity_number, found.severity_text) == ("paid", T * 10**9, 13, "warn")
    assert found.trace_id == bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
    assert {key: value for key, (_, value) in found.resource.items()} == {
        "tag": "kube.x", "host.name": "h", "k8s.pod.name": "p", "k8s.container.name": "c", "service.name": "c",
    }  # fmt: skip
    assert found.attributes == {
        "log.level": ("str", "warn"), "log.file.path": ("str", "/x"), "kubernetes.labels.tier": ("str", "web"),
        "n": ("int", 5), "f": ("float", 0.5), "ok": ("bool", True), "list": ("json", '[1,"a"]'),
        "big": ("json", str(1 << 70)),
    }  # fmt: skip


def test_a_document_without_a_message_is_its_own_body() -> None:
    found = record({"user": {"id": 7}}, {})
    assert (found.body, found.attributes) == ('{"user":{"id":7}}', {"user.id": ("int", 7)})


def test_a_deep_document_ends_as_one_value() -> None:
    deep: Any = "bottom"
    for _ in range(200):
        deep = {"a": deep}
    ((key, (kind, value)),) = record({"message": "m", "deep": deep}, {}).attributes.items()
    assert (key.count("."), kind) == (16, "json")
    assert value.count("a") == 200 - 16


def test_five_thousand_keys_are_kept() -> None:
    batch = decoded([record({"message": "m", **{f"k{i}": i for i in range(5000)}}, {})]).batch.tables["logs"]
    overflow = batch.column("attr_overflow")[0].as_py()
    assert len(overflow) + sum(name.startswith("attr.k") for name in batch.schema.names) == 5000


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["message", "time", "level", "host", "trace_id", "x", "\ud800"]), _VALUES))
def test_any_document_becomes_one_record(document: dict[str, Any]) -> None:
    found = decoded([record(document, {"tag": "t"})])
    assert found.batch.items + found.rejected_items == 1
    if found.batch.items:
        json.dumps(found.batch.tables["logs"].column("body").to_pylist())


DEEP = "[" * (MAX_NESTING + 1) + "]" * (MAX_NESTING + 1)


def test_a_document_nested_without_end_costs_the_others_of_its_bulk_nothing() -> None:
    lines = ['{"create":{}}', f'{{"message":"a","x":{DEEP}}}', '{"create":{}}', '{"message":"b"}', ""]
    bad, good = bulk.parse("\n".join(lines).encode(), "logs")
    assert bad.record is None and bad.error is not None and "nested too deep" in bad.error[1]
    assert good.record is not None and good.record.body == "b"


@pytest.mark.parametrize("event", [f'{{"message":"a","x":{DEEP}}}', f'{{"x":{DEEP}}}'])
def test_an_event_nested_without_end_is_told_by_its_number(event: str) -> None:
    body = f'{{"event":"fine"}}{{"event":{event}}}'.encode()
    with pytest.raises(events.BadEvent, match="nested too deep") as refused:
        list(events.from_events(body, {}))
    assert refused.value.number == 1
