"""Start times of data points, by both decoders: told where they are news, and what a query makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
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

from obs import warm
from obs.model.batch import Decoded
from obs.model.schema import DAY_MS
from obs.otlp import KERNELS, SeriesCache, slow_metrics
from obs.tsdb.promql import PromQL
from obs.tsdb.store import MetricStore

MS = 10**6
DAY = DAY_MS * MS
T0 = 20_000 * DAY
DELTA, CUMULATIVE = 1, 2

Decoder = Callable[[bytes, SeriesCache], Decoded]


@pytest.fixture(scope="module", params=["plain", "kernels"])
def decode(request: pytest.FixtureRequest) -> Decoder:
    if request.param == "plain":
        return slow_metrics.decode_metrics
    warm.load_now(KERNELS)
    from obs.otlp import fast_metrics

    return fast_metrics.decode_metrics


def body(*metrics: Metric) -> bytes:
    return MetricsData(
        resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=metrics)])]
    ).SerializeToString()


def counter(start_ns: int, time_ns: int, value: int = 1, temporality: int = CUMULATIVE, flags: int = 0) -> Metric:
    point = NumberDataPoint(start_time_unix_nano=start_ns, time_unix_nano=time_ns, as_int=value, flags=flags)
    return Metric(name="sent", sum=Sum(data_points=[point], aggregation_temporality=temporality, is_monotonic=True))


def starts(decoded: Decoded) -> list[tuple[int, int]]:
    """Times and starts that a batch tells, in milliseconds after T0."""
    table = decoded.batch.tables.get("starts")
    rows = [] if table is None else zip(table["t_ms"].to_pylist(), table["start_ms"].to_pylist(), strict=True)
    return [(t - T0 // MS, start - T0 // MS if start else 0) for t, start in rows]


def test_each_kind_of_point_tells_its_start_but_gauges(decode: Decoder) -> None:
    both = {"start_time_unix_nano": T0 + 5 * MS, "time_unix_nano": T0 + 9 * MS}
    histogram = HistogramDataPoint(**both, count=3, sum=1.0, bucket_counts=[1, 2], explicit_bounds=[1.0])
    exponential = ExponentialHistogramDataPoint(**both, count=1, zero_count=1)
    summary = SummaryDataPoint(**both, count=1, quantile_values=[SummaryDataPoint.ValueAtQuantile(quantile=0.5)])
    found = {
        "gauge": Gauge(data_points=[NumberDataPoint(**both, as_int=1)]),
        "sum": Sum(data_points=[NumberDataPoint(**both, as_int=1)], aggregation_temporality=CUMULATIVE),
        "histogram": Histogram(data_points=[histogram], aggregation_temporality=CUMULATIVE),
        "exponential_histogram": ExponentialHistogram(data_points=[exponential], aggregation_temporality=CUMULATIVE),
        "summary": Summary(data_points=[summary]),
    }
    for kind, series in zip(found, (0, 1, 4, 1, 3), strict=True):
        decoded = decode(body(Metric(name=kind, **{kind: found[kind]})), SeriesCache())
        assert starts(decoded) == [(9, 5)] * series, kind
        ids = decoded.batch.tables["samples"]["series_id"].to_pylist()
        assert not series or decoded.batch.tables["starts"]["series_id"].to_pylist() == ids


def test_a_start_is_told_where_it_is_news_and_once_a_day() -> None:
    warm.load_now(KERNELS)
    from obs.otlp.fast_metrics import decode_metrics

    cache = SeriesCache()
    rows = [
        (T0 + 5 * MS, T0 + 10 * MS, [(10, 5)]),
        (T0 + 5 * MS, T0 + 20 * MS, []),
        (T0 + 25 * MS, T0 + 30 * MS, [(30, 25)]),  # it began anew
        (T0 + 5 * MS, T0 + 15 * MS, [(15, 5)]),  # one that is late
        (T0 + 25 * MS, T0 + 40 * MS, [(40, 25)]),
        (T0 + 25 * MS, T0 + 35 * MS, [(35, 25)]),  # before what was told of this start
        (T0 + 25 * MS, T0 + 50 * MS, []),
        (0, T0 + 60 * MS, [(60, 0)]),  # it is known no more
        (0, T0 + 70 * MS, []),
        (T0 + 25 * MS, T0 + DAY - MS, [(DAY_MS - 1, 25)]),
        (T0 + 25 * MS, T0 + DAY, [(DAY_MS, 25)]),
        (T0 + 25 * MS, T0 + DAY + MS, []),
        (2**63, T0 + DAY + 2 * MS, [(DAY_MS + 2, 0)]),  # no time that can be kept
    ]
    for start_ns, time_ns, expected in rows:
        decoded = decode_metrics(body(counter(start_ns, time_ns)), cache)
        assert starts(decoded) == expected, (start_ns, time_ns)
        again = decode_metrics(body(counter(start_ns, time_ns)), cache)  # what was not stored is told again
        assert starts(again) == expected
        cache.commit(again)
    stale = counter(T0, T0 + DAY + 3 * MS, flags=1)
    assert starts(decode_metrics(body(stale), cache)) == []
    cache.clear()
    assert starts(decode_metrics(body(counter(T0 + 25 * MS, T0 + DAY + 4 * MS)), cache)) == [(DAY_MS + 4, 25)]


def test_an_exponential_histogram_tells_its_start_once() -> None:
    warm.load_now(KERNELS)
    from obs.otlp.fast_metrics import decode_metrics

    cache = SeriesCache()
    for at, expected in ((10, [(10, 5)]), (20, [])):
        both = {"start_time_unix_nano": T0 + 5 * MS, "time_unix_nano": T0 + at * MS}
        histogram = ExponentialHistogram(
            data_points=[ExponentialHistogramDataPoint(**both, count=1, zero_count=1)],
            aggregation_temporality=CUMULATIVE,
        )
        decoded = decode_metrics(body(Metric(name="h", exponential_histogram=histogram)), cache)
        assert starts(decoded) == expected
        cache.commit(decoded)


def test_the_total_of_deltas_began_with_the_first_of_them(decode: Decoder) -> None:
    cache, told = SeriesCache(), list[tuple[int, int]]()
    for at in (10, 20, 30):
        decoded = decode(body(counter(T0 + (at - 10) * MS, T0 + at * MS, temporality=DELTA)), cache)
        cache.commit(decoded)
        told += starts(decoded)
    assert told[0] == (10, 0) and {start for _, start in told} == {0}
    assert [total.start_ns for total in cache.totals.values()] == [T0]


def test_a_query_that_heeds_starts_sees_a_restart(decode: Decoder, tmp_path: Path) -> None:
    store, cache = MetricStore(tmp_path), SeriesCache()
    store.open()
    points = [(T0 - MS, 0, 4), (T0 - MS, 15, 5), (T0 + 20_000 * MS, 30, 6), (T0 + 20_000 * MS, 45, 8)]
    for start_ns, at_s, value in points:
        decoded = decode(body(counter(start_ns, T0 + at_s * 1000 * MS, value)), cache)
        store.consume(decoded.batch)
        cache.commit(decoded)
    promql, end = PromQL(store), (T0 + 45_000 * MS) // MS
    for heeded, resets in ((True, 1.0), (False, 0.0)):
        assert promql.query("resets(sent_total[1m])", end, use_starts=heeded).values.tolist() == [[resets]]
    known = promql.query_range("start_timestamp(sent_total)", T0 // MS, end, 15_000, use_starts=True)
    assert known.values.tolist() == [[start_ns // MS / 1000 for start_ns, _, _ in points]]
    store.close()
