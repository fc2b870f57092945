"""Data points to series: every kind, deltas and the cache's commit, as tables of what is expected."""

from __future__ import annotations

import math
import struct
import sys

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from obs import otlp

SECOND = 10**9


def attributes(**pairs: str) -> list[KeyValue]:
    return [KeyValue(key=k.replace("__", "."), value=AnyValue(string_value=v)) for k, v in pairs.items()]


def body(*metrics: Metric, resource: Resource | None = None, scope: InstrumentationScope | None = None) -> bytes:
    group = ResourceMetrics(resource=resource, scope_metrics=[ScopeMetrics(scope=scope, metrics=metrics)])
    return MetricsData(resource_metrics=[group]).SerializeToString()


def series(decoded) -> dict[str, float]:
    """Samples as `name{label="value"} value`, from a batch that carries all labels."""
    tables = decoded.batch.tables
    labels = {r["series_id"]: r["labels"] for r in tables["series"].to_pylist()}
    return {_text(labels[r["series_id"]]): r["value"] for r in tables["samples"].to_pylist()}


def _text(labels) -> str:
    pairs = dict(labels)
    name = pairs.pop("__name__")
    return name + "".join(f" {k}={v}" for k, v in pairs.items())


def decode(*metrics: Metric, **more) -> dict[str, float]:
    return series(otlp.decode_metrics(body(*metrics, **more), otlp.SeriesCache()))


def test_identity():
    resource = Resource(
        attributes=attributes(service__name="cart", service__namespace="shop", service__instance__id="i", host="h")
    )
    scope = InstrumentationScope(name="l", version="2", attributes=attributes(a="b"))
    point = NumberDataPoint(as_int=3, attributes=attributes(http__route="/x", job="mine"))
    found = decode(
        Metric(name="size", unit="By", gauge=Gauge(data_points=[point])), resource=resource, scope=scope
    )  # fmt: skip
    assert found == {
        "size_bytes http_route=/x instance=i job=shop/cart otel_scope_a=b otel_scope_name=l otel_scope_version=2": 3.0,
        "target_info host=h instance=i job=shop/cart": 1.0,
    }


def test_types_and_units_are_labels_where_that_is_asked():
    point = NumberDataPoint(as_int=3, attributes=attributes(a="b"))
    point.attributes.append(KeyValue(key="__type__", value=AnyValue(string_value="x")))
    metrics = [
        Metric(name="size", unit="By", gauge=Gauge(data_points=[point])),
        Metric(name="n", unit="1", sum=Sum(data_points=[point], aggregation_temporality=2, is_monotonic=True)),
    ]
    cache = otlp.SeriesCache(typed=True)
    for _ in range(2):  # the second time from what was kept
        assert series(otlp.decode_metrics(body(*metrics), cache)) == {
            "size_bytes __type__=gauge __unit__=bytes a=b": 3.0,
            "n_total __type__=counter a=b": 3.0,
        }


def test_sums():
    point = NumberDataPoint(as_double=2.5)
    counter = Sum(data_points=[point], aggregation_temporality=2, is_monotonic=True)
    updown = Sum(data_points=[point], aggregation_temporality=2)
    assert decode(Metric(name="c", unit="s", sum=counter), Metric(name="u", sum=updown)) == {
        "c_seconds_total": 2.5,
        "u": 2.5,
    }


def test_histogram_and_summary():
    histogram = HistogramDataPoint(count=6, sum=9, bucket_counts=[1, 2, 3], explicit_bounds=[0.5, 2])
    summary = SummaryDataPoint(
        count=4, sum=2, quantile_values=[SummaryDataPoint.ValueAtQuantile(quantile=0.99, value=7)]
    )
    assert decode(
        Metric(name="h", histogram=Histogram(data_points=[histogram], aggregation_temporality=2)),
        Metric(name="s", summary=Summary(data_points=[summary])),
    ) == {
        "h_bucket le=0.5": 1.0,
        "h_bucket le=2": 3.0,
        "h_bucket le=+Inf": 6.0,
        "h_count": 6.0,
        "h_sum": 9.0,
        "s quantile=0.99": 7.0,
        "s_count": 4.0,
        "s_sum": 2.0,
    }


def exponential(temporality: int, scale: int = 0) -> Metric:
    buckets = ExponentialHistogramDataPoint.Buckets
    point = ExponentialHistogramDataPoint(
        count=10,
        scale=scale,
        zero_count=1,
        positive=buckets(offset=0, bucket_counts=[2, 3]),
        negative=buckets(offset=1, bucket_counts=[4]),
        time_unix_nano=SECOND,
    )
    return Metric(
        name="e", exponential_histogram=ExponentialHistogram(data_points=[point], aggregation_temporality=temporality)
    )


@pytest.mark.parametrize(
    ("scale", "stored"),
    [
        (0, (0, 1, [2.0, 3.0], 2, [4.0])),
        (-4, (-4, 1, [2.0, 3.0], 2, [4.0])),
        (9, (8, 1, [5.0], 1, [4.0])),
        (20, (8, 1, [5.0], 1, [4.0])),
    ],
)
def test_an_exponential_histogram_is_a_native_one(scale, stored):
    decoded = otlp.decode_metrics(body(exponential(2, scale)), otlp.SeriesCache())
    assert series(decoded) == {"e": 10.0}
    (row,) = decoded.batch.tables["histograms"].to_pylist()
    names = ("schema", "positive_offset", "positive", "negative_offset", "negative")
    assert tuple(row[name] for name in names) == stored
    assert (row["t_ms"], row["count"], row["zero_count"], row["hint"]) == (1000, 10.0, 1.0, 0)
    assert row["series_id"] == decoded.batch.tables["samples"]["series_id"][0].as_py()


def test_deltas_of_exponential_histograms_add_up_to_a_native_one():
    cache = otlp.SeriesCache()
    rows = []
    for second, scale in ((1, 0), (2, 1), (2, 1), (3, 0)):
        metric = exponential(1, scale)
        metric.exponential_histogram.data_points[0].time_unix_nano = second * SECOND
        decoded = otlp.decode_metrics(body(metric), cache)
        cache.commit(decoded)
        tables = decoded.batch.tables
        rows += tables["histograms"].to_pylist() if "histograms" in tables else [decoded.rejected]
    assert rows.pop(2) == {"delta_out_of_order": 1}  # the same again
    names = ("t_ms", "schema", "count", "zero_count", "positive_offset", "positive", "negative_offset", "negative")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (1000, 0, 10.0, 1.0, 1, [2.0, 3.0], 2, [4.0]),
        (2000, 0, 20.0, 2.0, 1, [7.0, 3.0], 1, [4.0, 4.0]),
        (3000, 0, 30.0, 3.0, 1, [9.0, 6.0], 1, [4.0, 8.0]),
    ]


def one_bucket(second: int = 1, scale: int = 0, offset: int = 0, threshold: float = 0.0, temporality: int = 1) -> bytes:
    point = ExponentialHistogramDataPoint(
        count=1, scale=scale, positive=ExponentialHistogramDataPoint.Buckets(offset=offset, bucket_counts=[1]),
        zero_threshold=threshold, time_unix_nano=second * SECOND,
    )  # fmt: skip
    metric = ExponentialHistogram(data_points=[point], aggregation_temporality=temporality)
    return body(Metric(name="e", exponential_histogram=metric))


@pytest.mark.parametrize("temporality", [1, 2])
@pytest.mark.parametrize(
    "given",
    [
        {"offset": 2**31 - 1}, {"offset": -(2**31)}, {"scale": -4, "offset": -69}, {"scale": -4, "offset": 64},
        {"scale": 20, "offset": 1024 << 20}, {"threshold": -1.0}, {"threshold": math.nan}, {"threshold": math.inf},
    ],
)  # fmt: skip
def test_an_exponential_histogram_of_no_doubles_is_refused(temporality, given):
    decoded = otlp.decode_metrics(one_bucket(temporality=temporality, **given), otlp.SeriesCache())
    assert decoded.rejected == {"histogram_mismatch": 1}


@pytest.mark.parametrize("given", [{"threshold": sys.float_info.max}, {"threshold": 5e-324}])
def test_zero_buckets_of_any_width_are_added_up(given):
    cache = otlp.SeriesCache()
    cache.commit(otlp.decode_metrics(one_bucket(**given), cache))
    (row,) = otlp.decode_metrics(one_bucket(2), cache).batch.tables["histograms"].to_pylist()
    assert row["zero_count"] + sum(row["positive"]) == row["count"] == 2
    assert row["zero_threshold"] >= given["threshold"]


def test_widest_deltas_are_added_up():
    cache = otlp.SeriesCache()
    for second, scale, offset in ((1, 20, -1074 << 20), (2, 20, (1024 << 20) - 1)):
        decoded = otlp.decode_metrics(one_bucket(second, scale, offset), cache)
        cache.commit(decoded)
    (row,) = decoded.batch.tables["histograms"].to_pylist()
    assert (sum(row["positive"]), row["count"], len(row["positive"]) <= 320) == (2, 2, True)


def test_totals_of_native_histograms_are_bound_by_their_buckets(monkeypatch):
    monkeypatch.setattr("obs.otlp.series_cache.MAX_DELTA_SERIES", 5)
    cache = otlp.SeriesCache()
    for name in "abc":
        metric = exponential(1, 0)  # three buckets
        metric.name = name
        cache.commit(otlp.decode_metrics(body(metric), cache))
    assert len(cache.totals) == 1
    cache.commit(otlp.decode_metrics(delta(1, 1.0), cache))
    assert len(cache.totals) == 2


@pytest.mark.parametrize(
    ("temporality", "scale", "bounds"),
    [(t, -5, ("-4294967296", "4294967296", "18446744073709552000")) for t in (1, 2)],
)
def test_one_that_cannot_be_native_keeps_its_own_bounds(temporality, scale, bounds):
    assert decode(exponential(temporality, scale)) == {
        f"e_bucket le={bounds[0]}": 4.0,
        "e_bucket le=0": 5.0,
        f"e_bucket le={bounds[1]}": 7.0,
        f"e_bucket le={bounds[2]}": 10.0,
        "e_bucket le=+Inf": 10.0,
        "e_count": 10.0,
    }


def test_no_recorded_value_is_a_stale_marker():
    (value,) = decode(Metric(name="g", gauge=Gauge(data_points=[NumberDataPoint(flags=1)]))).values()
    assert math.isnan(value)
    assert struct.pack("<d", value) == struct.pack("<Q", 0x7FF0000000000002)


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (Metric(gauge=Gauge(data_points=[NumberDataPoint(as_int=1)])), "empty_metric_name"),
        (Metric(name="g", gauge=Gauge(data_points=[NumberDataPoint()])), "no_value"),
        (Metric(name="s", sum=Sum(data_points=[NumberDataPoint(as_int=1)])), "invalid_temporality"),
        (
            Metric(name="g", gauge=Gauge(data_points=[NumberDataPoint(as_int=1, time_unix_nano=2**63)])),
            "time_out_of_range",
        ),
        (
            Metric(
                name="h",
                histogram=Histogram(
                    aggregation_temporality=2, data_points=[HistogramDataPoint(bucket_counts=[1], explicit_bounds=[1])]
                ),
            ),
            "histogram_mismatch",
        ),
    ],
)
def test_refusals(metric, reason):
    decoded = otlp.decode_metrics(body(metric), otlp.SeriesCache())
    assert decoded.rejected == {reason: 1}
    assert decoded.batch.items == 0


def test_labels_go_along_until_committed():
    cache = otlp.SeriesCache()
    request = body(Metric(name="g", description="help", gauge=Gauge(data_points=[NumberDataPoint(as_int=1)])))
    first = otlp.decode_metrics(request, cache)
    again = otlp.decode_metrics(request, cache)
    assert {"series", "metadata"} <= first.batch.tables.keys() & again.batch.tables.keys()
    assert first.batch.tables["metadata"].to_pylist() == [{"metric": "g", "type": "gauge", "unit": "", "help": "help"}]
    cache.commit(first)
    assert otlp.decode_metrics(request, cache).batch.tables.keys() == {"samples"}
    cache.clear()
    assert "series" in otlp.decode_metrics(request, cache).batch.tables
    cache.commit(again)  # of the generation before: says nothing of what the store holds now
    assert "series" in otlp.decode_metrics(request, cache).batch.tables


def delta(t: int, value: float) -> bytes:
    point = NumberDataPoint(as_double=value, time_unix_nano=t * SECOND)
    return body(Metric(name="d", sum=Sum(data_points=[point], aggregation_temporality=1, is_monotonic=True)))


def test_deltas_are_totalled_once_per_stored_body():
    cache = otlp.SeriesCache()

    def value(t: int, increment: float, stored: bool = True) -> float:
        decoded = otlp.decode_metrics(delta(t, increment), cache)
        if stored:
            cache.commit(decoded)
        return decoded.batch.tables["samples"]["value"][0].as_py()

    assert value(1, 5) == 5
    assert value(2, 3, stored=False) == 8
    assert value(2, 3) == 8
    cache.clear()
    assert value(3, 1) == 9
    late = otlp.decode_metrics(delta(3, 1), cache)
    assert late.rejected == {"delta_out_of_order": 1}


def test_deltas_of_one_millisecond_count_each():
    cache = otlp.SeriesCache()

    def told(start_ns: int, t_ns: int) -> float | dict[str, int]:
        point = NumberDataPoint(as_double=2, start_time_unix_nano=SECOND + start_ns, time_unix_nano=SECOND + t_ns)
        metric = Metric(name="d", sum=Sum(data_points=[point], aggregation_temporality=1, is_monotonic=True))
        decoded = otlp.decode_metrics(body(metric), cache)
        cache.commit(decoded)
        tables = decoded.batch.tables
        return tables["samples"]["value"][0].as_py() if "samples" in tables else decoded.rejected

    again = {"delta_out_of_order": 1}
    assert [told(0, 7), told(7, 9), told(7, 9), told(0, 7), told(9, 10)] == [2, 4, again, again, 6]


def test_exemplars():
    exemplar = Exemplar(as_double=1.5, trace_id=b"0123456789abcdef", filtered_attributes=attributes(user="u"))
    point = HistogramDataPoint(count=2, bucket_counts=[1, 1], explicit_bounds=[1], exemplars=[exemplar])
    decoded = otlp.decode_metrics(
        body(Metric(name="h", histogram=Histogram(data_points=[point], aggregation_temporality=2))), otlp.SeriesCache()
    )
    (row,) = decoded.batch.tables["exemplars"].to_pylist()
    labels = {r["series_id"]: dict(r["labels"]) for r in decoded.batch.tables["series"].to_pylist()}
    assert labels[row["series_id"]] == {"__name__": "h_bucket", "le": "+Inf"}
    assert dict(row["labels"]) == {"trace_id": b"0123456789abcdef".hex(), "user": "u"}
