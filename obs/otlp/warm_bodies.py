"""Small bodies of each signal that lead through every kernel: decoding them compiles all that decoding uses."""

from __future__ import annotations

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

_TRACE_ID, _SPAN_ID = b"0123456789abcdef", b"01234567"


def _attributes() -> list[KeyValue]:
    text = AnyValue(string_value="é")
    values = [
        text,
        AnyValue(int_value=1),
        AnyValue(double_value=0.5),
        AnyValue(bool_value=True),
        AnyValue(bytes_value=b"\xff"),
        AnyValue(array_value=ArrayValue(values=[text])),
        AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=text)])),
    ]
    return [KeyValue(key=f"k{i}", value=value) for i, value in enumerate(values)]


def traces_body() -> bytes:
    """One span with everything a span can have."""
    shared = _attributes()
    span = Span(
        trace_id=_TRACE_ID,
        span_id=_SPAN_ID,
        name="warm",
        attributes=shared,
        events=[Span.Event(name="e", attributes=shared)],
        links=[Span.Link(trace_id=_TRACE_ID, span_id=_SPAN_ID, attributes=shared)],
    )
    scoped = ScopeSpans(scope=InstrumentationScope(name="warm", attributes=shared), spans=[span])
    group = ResourceSpans(resource=Resource(attributes=shared), scope_spans=[scoped])
    return TracesData(resource_spans=[group]).SerializeToString()


def logs_body() -> bytes:
    """One record with everything a record can have."""
    shared = _attributes()
    record = LogRecord(body=shared[-1].value, attributes=shared, trace_id=_TRACE_ID, span_id=_SPAN_ID)
    scoped = ScopeLogs(scope=InstrumentationScope(name="warm"), log_records=[record])
    group = ResourceLogs(resource=Resource(attributes=shared), scope_logs=[scoped])
    return LogsData(resource_logs=[group]).SerializeToString()


def metrics_body() -> bytes:
    """One gauge, one histogram, one summary."""
    shared = _attributes()
    quantile = SummaryDataPoint.ValueAtQuantile(quantile=0.5, value=1)
    metrics = [
        Metric(name="g", unit="s", gauge=Gauge(data_points=[NumberDataPoint(as_int=1, attributes=shared)])),
        Metric(
            name="h",
            histogram=Histogram(
                aggregation_temporality=AGGREGATION_TEMPORALITY_CUMULATIVE,
                data_points=[
                    HistogramDataPoint(
                        count=1, sum=1, bucket_counts=[1, 0], explicit_bounds=[1], start_time_unix_nano=10**9
                    )
                ],
            ),
        ),
        Metric(name="s", summary=Summary(data_points=[SummaryDataPoint(count=1, quantile_values=[quantile])])),
    ]
    scoped = ScopeMetrics(scope=InstrumentationScope(name="warm"), metrics=metrics)
    group = ResourceMetrics(resource=Resource(attributes=shared), scope_metrics=[scoped])
    return MetricsData(resource_metrics=[group]).SerializeToString()


def decode_all() -> None:
    """Decode each body by kernels."""
    from obs.otlp import fast, fast_metrics, kernels
    from obs.otlp.series_cache import SeriesCache

    fast.decode_traces(traces_body())
    fast.decode_logs(logs_body())
    cache = SeriesCache()
    cache.commit(fast_metrics.decode_metrics(metrics_body(), cache))
    fast_metrics.decode_metrics(metrics_body(), cache)
    kernels.rehash(cache.slots.table, cache.slots.table.copy() * 0)
