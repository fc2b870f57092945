"""Requests: names and limits of metrics, and text that no encoding fits."""

from __future__ import annotations

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from obs.agent.log_shipper import split_records
from obs.agent.logs.assemble import TextRecord
from obs.agent.logs.formats import decode
from obs.agent.otlp_logs import LogsRequest
from obs.agent.otlp_metrics import metrics_requests
from obs.agent.sample import Sample

ODD = b"/odd-\xff".decode("utf-8", "surrogateescape")


def test_counters_and_gauges() -> None:
    samples = [Sample("a_total", (("x", "1"),), 1.0), Sample("b", (), 2.0), Sample("a_total", (("x", "2"),), 3.0)]
    ((body, points),) = metrics_requests(samples, {"service.name": "s"}, 5)
    (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    counter, gauge = resource.scope_metrics[0].metrics
    assert points == 3 and resource.scope_metrics[0].scope.name == ""
    assert (counter.name, counter.unit, counter.sum.is_monotonic) == ("a", "", True)
    assert [(p.as_double, p.time_unix_nano) for p in counter.sum.data_points] == [(1.0, 5), (3.0, 5)]
    assert (gauge.name, gauge.gauge.data_points[0].as_double) == ("b", 2.0)


def test_requests_are_bounded() -> None:
    samples = [Sample(f"m{i % 7}", (("i", str(i)),), 1.0) for i in range(1000)]
    parts = list(metrics_requests(samples, {}, 1, per_request=100))
    assert all(points <= 100 for _, points in parts) and sum(points for _, points in parts) == 1000
    assert list(metrics_requests([], {}, 1)) == []


def test_labels_of_any_bytes_are_sent() -> None:
    ((body, _),) = metrics_requests([Sample("m", (("id", ODD),), 1.0)], {"host.name": ODD}, 1)
    metric = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0].metrics[0]
    assert metric.gauge.data_points[0].attributes[0].value.string_value == "/odd-?"


def test_logs_of_any_bytes_are_sent() -> None:
    half = decode("json-file", b'{"log":"half \\ud83d\\n","stream":"stdout","time":"2026-11-23T09:07:23Z"}')
    request = LogsRequest()
    request.add(ODD, {}, [TextRecord(half.text, "stdout", 7, 3)], 9)
    (record,) = ExportLogsServiceRequest.FromString(request.serialize()).resource_logs[0].scope_logs[0].log_records
    assert record.body.string_value == "half ?… [cut: 3 bytes more]"
    assert (record.time_unix_nano, record.observed_time_unix_nano) == (7, 9)
    assert {a.key: a.value.int_value for a in record.attributes}["log.cut_bytes"] == 3


def test_records_are_split_by_number_and_size() -> None:
    small = [TextRecord("x", "", None)] * 2500
    assert [len(p) for p in split_records(small)] == [1000, 1000, 500]
    large = [TextRecord("x" * 300_000, "", None)] * 7
    assert [len(p) for p in split_records(large)] == [3, 3, 1]
    assert split_records([]) == []
