"""Names and labels as the compatibility specification has them."""

from __future__ import annotations

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, Sum

from obs.otlp import messages
from obs.otlp.identity import make_family
from obs.otlp.naming import escaped_labels, family_name, label_name, unit_words
from obs.otlp.values import float_text


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("http.server.duration", "s", "histogram", "http_server_duration_seconds"),
        ("http.server.duration", "ms", "histogram", "http_server_duration_milliseconds"),
        ("system.memory.usage", "By", "gauge", "system_memory_usage_bytes"),
        ("system.network.io", "By/s", "gauge", "system_network_io_bytes_per_second"),
        ("request_seconds", "s", "counter", "request_seconds"),
        ("requests", "{request}", "counter", "requests"),
        ("shop_requests_total", "", "counter", "shop_requests"),
        ("cpu.utilization", "1", "gauge", "cpu_utilization_ratio"),
        ("cpu.utilization", "1", "counter", "cpu_utilization"),
        ("queue.length", "1", "sum", "queue_length"),
        ("a..b--c", "", "gauge", "a_b_c"),
        ("9lives", "", "gauge", "_9lives"),
        ("job:rate", "", "gauge", "job:rate"),
        ("disk.used", "%", "gauge", "disk_used_percent"),
        ("odd", "foo bar", "gauge", "odd_foo_bar"),
        ("日本", "", "gauge", "__"),
        ("total", "", "counter", "total"),
    ],
)
def test_family_name(name, unit, kind, expected):
    assert family_name(name, unit, kind) == expected


def test_units():
    assert unit_words("") == []
    assert unit_words("{call}/s") == ["per_second"]
    assert unit_words("m/h") == ["meters", "per_hour"]


def test_labels():
    assert label_name("http.route") == "http_route"
    assert label_name("0x") == "key_0x"
    assert label_name("_own") == "key_own"
    assert label_name("日") == "key_"
    assert label_name("__kept") == "__kept"
    assert label_name("") == ""
    assert escaped_labels([("a.b", "2"), ("a_b", "1"), ("", "x"), ("e", "")]) == {"a_b": "2;1"}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"),
        (0.005, "0.005"),
        (1e-6, "0.000001"),
        (1e22, "1e+22"),
        (1e20, "1" + "0" * 20),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (float("nan"), "NaN"),
        (-2.5, "-2.5"),
        (0.0, "0"),
    ],
)
def test_floats(number, text):
    assert float_text(number) == text


@pytest.mark.parametrize("monotonic", [True, False])
def test_sums_are_no_ratios(monotonic):
    total = Metric(name="queue.length", unit="1", sum=Sum(is_monotonic=monotonic))
    assert name_of(total) == "queue_length"
    assert name_of(Metric(name="queue.length", unit="1", gauge=Gauge())) == "queue_length_ratio"


def name_of(metric):
    return make_family(messages.parse(messages.Metric, metric.SerializeToString(), "a metric")).name
