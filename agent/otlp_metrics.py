"""Samples → OTLP requests that the server turns back into exactly the same Prometheus names.

A counter's `_total` is taken off and the unit left empty: the OpenTelemetry–Prometheus conversion puts `_total` back on
a monotonic sum and adds a suffix only for a unit. The scope stays empty, so that no `otel_scope_*` labels appear.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from obs.agent.limits import POINTS_PER_REQUEST
from obs.agent.sample import Sample


def clean(text: str) -> str:
    """Text that UTF-8 can carry: names of files and cgroups may be any bytes, JSON may hold half a pair."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def key_values(pairs: Iterable[tuple[str, str]]) -> list[KeyValue]:
    """String attributes."""
    return [KeyValue(key=clean(k), value=AnyValue(string_value=clean(v))) for k, v in pairs]


def resource_of(attributes: Mapping[str, str]) -> Resource:
    """A resource with string attributes."""
    return Resource(attributes=key_values(attributes.items()))


def metrics_requests(
    samples: Iterable[Sample], resource: Mapping[str, str], time_ns: int, per_request: int = POINTS_PER_REQUEST
) -> Iterator[tuple[bytes, int]]:
    """(serialized ExportMetricsServiceRequest, points in it), as many as it takes."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    chunk: list[list[Sample]] = []
    points = 0
    for group in by_name.values():
        for start in range(0, len(group), per_request):
            part = group[start : start + per_request]
            if chunk and points + len(part) > per_request:
                yield _request(chunk, resource, time_ns), points
                chunk, points = [], 0
            chunk.append(part)
            points += len(part)
    if chunk:
        yield _request(chunk, resource, time_ns), points


def _request(groups: list[list[Sample]], resource: Mapping[str, str], time_ns: int) -> bytes:
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add(resource=resource_of(resource))
    metrics = resource_metrics.scope_metrics.add().metrics
    for group in groups:
        _fill(metrics.add(), group, time_ns)
    return request.SerializeToString()


def _fill(metric: Metric, group: list[Sample], time_ns: int) -> None:
    first = group[0]
    if first.is_counter:
        metric.name = first.name.removesuffix("_total")
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        points = metric.sum.data_points
    else:
        metric.name = first.name
        points = metric.gauge.data_points
    for sample in group:
        point = points.add(time_unix_nano=time_ns, as_double=sample.value)
        for key, value in sample.labels:
            attribute = point.attributes.add()
            attribute.key = clean(key)
            attribute.value.string_value = clean(value)
