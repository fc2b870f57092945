"""The metrics kernels against the plain path, over bodies that follow each other into one cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
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

from obs import warm
from obs.errors import UserError
from obs.otlp import KERNELS, SeriesCache, slow_metrics, warm_bodies
from obs.otlp.slots import START

check = examples(60)

texts = st.sampled_from(["", "a", "b c", "ü", "shop.requests", "9lives", "x_total", "__"])
units = st.sampled_from(["", "1", "s", "By/s", "{call}", "ms", "%", "m/h", "odd unit"])
values = st.builds(AnyValue, string_value=texts) | st.sampled_from(
    [
        AnyValue(),
        AnyValue(int_value=-3),
        AnyValue(double_value=0.1),
        AnyValue(bool_value=True),
        AnyValue(bytes_value=b"\x00\xff"),
        AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="in")])),
    ]
)
keys = st.sampled_from(["", "k", "k.k", "k_k", "0", "job", "__name__", "le", "service.name", "service.instance.id"])
attributes = st.lists(st.builds(KeyValue, key=keys, value=values), max_size=3)
times = st.integers(0, 4).map(lambda n: n * 10**9) | st.just(2**63)
starts = st.sampled_from([0, 0, 5 * 10**8, 10**9, 2**63])
doubles = st.floats() | st.sampled_from([0.0, 1.0, -2.5])
flags = st.sampled_from([0, 0, 0, 0, 1, 3])
counts = st.integers(0, 5) | st.just(2**64 - 1) | st.just(2**63)
temporalities = st.sampled_from([0, 1, 1, 2, 2, 2, 3])
exemplars = st.lists(
    st.builds(Exemplar, time_unix_nano=times, as_double=doubles, trace_id=st.sampled_from([b"", b"t" * 16, b"x"]))
    | st.builds(Exemplar, as_int=st.integers(-3, 9), filtered_attributes=attributes, span_id=st.just(b"12345678"))
    | st.builds(Exemplar),
    max_size=2,
)
number_points = (
    st.builds(
        NumberDataPoint,
        attributes=attributes,
        start_time_unix_nano=starts,
        time_unix_nano=times,
        as_double=doubles,
        flags=flags,
        exemplars=exemplars,
    )
    | st.builds(NumberDataPoint, attributes=attributes, time_unix_nano=times, as_int=st.integers(-(2**63), 2**63 - 1))
    | st.builds(NumberDataPoint, attributes=attributes, time_unix_nano=times, flags=flags)
)
sums = st.none() | doubles


@st.composite
def histogram_points(draw):
    bounds = draw(st.lists(st.sampled_from([-1.0, 0.0, 0.005, 1.0, 2.5, 1e22, float("nan")]), max_size=4))
    if draw(st.booleans()):
        bounds = sorted(set(bounds) - {float("nan")})
    buckets = draw(st.lists(counts, min_size=len(bounds) + 1, max_size=len(bounds) + 1) | st.lists(counts, max_size=3))
    right = sum(buckets) if sum(buckets) < 2**64 else 0
    return HistogramDataPoint(
        attributes=draw(attributes),
        start_time_unix_nano=draw(starts),
        time_unix_nano=draw(times),
        count=draw(st.just(right) | counts),
        sum=draw(sums),
        bucket_counts=buckets,
        explicit_bounds=bounds,
        exemplars=draw(exemplars),
        flags=draw(flags),
    )


def buckets():
    kind = ExponentialHistogramDataPoint.Buckets
    return st.builds(kind, offset=st.integers(-3, 3), bucket_counts=st.lists(st.integers(0, 4), max_size=3))


exponential_points = st.builds(
    ExponentialHistogramDataPoint,
    attributes=attributes,
    start_time_unix_nano=starts,
    time_unix_nano=times,
    count=counts,
    sum=sums,
    scale=st.integers(-11, 3) | st.just(21),
    zero_count=st.integers(0, 3),
    zero_threshold=st.sampled_from([0.0, 0.5]),
    positive=buckets() | st.none(),
    negative=buckets() | st.none(),
    flags=flags,
    exemplars=exemplars,
)
quantiles = st.builds(SummaryDataPoint.ValueAtQuantile, quantile=st.sampled_from([0.0, 0.5, 0.99, 1.0]), value=doubles)
summary_points = st.builds(
    SummaryDataPoint,
    attributes=attributes,
    start_time_unix_nano=starts,
    time_unix_nano=times,
    count=counts,
    sum=doubles,
    quantile_values=st.lists(quantiles, max_size=3, unique_by=lambda q: q.quantile),
    flags=flags,
)


def some(item):
    return st.lists(item, max_size=3)


datas = (
    st.builds(lambda p: {"gauge": Gauge(data_points=p)}, some(number_points))
    | st.builds(
        lambda p, t, m: {"sum": Sum(data_points=p, aggregation_temporality=t, is_monotonic=m)},
        some(number_points),
        temporalities,
        st.booleans(),
    )
    | st.builds(
        lambda p, t: {"histogram": Histogram(data_points=p, aggregation_temporality=t)},
        some(histogram_points()),
        temporalities,
    )
    | st.builds(
        lambda p, t: {"exponential_histogram": ExponentialHistogram(data_points=p, aggregation_temporality=t)},
        some(exponential_points),
        temporalities,
    )
    | st.builds(lambda p: {"summary": Summary(data_points=p)}, some(summary_points))
    | st.just({})
)
metrics = st.builds(
    lambda name, unit, help_, data: Metric(name=name, unit=unit, description=help_, **data), texts, units, texts, datas
)
scopes = st.builds(InstrumentationScope, name=texts, version=texts, attributes=attributes) | st.none()
scoped = st.builds(ScopeMetrics, scope=scopes, schema_url=texts, metrics=some(metrics))
groups = st.builds(
    ResourceMetrics, resource=st.builds(Resource, attributes=attributes) | st.none(), scope_metrics=some(scoped)
)
bodies = st.lists(groups, max_size=2).map(lambda g: MetricsData(resource_metrics=g).SerializeToString())


@pytest.fixture(scope="module")
def fast():
    warm.load_now(KERNELS)
    from obs.otlp import fast_metrics

    return fast_metrics


def told(decoded) -> set[tuple[int, int, int]]:
    """Starts that are known: (series, time, start)."""
    table = decoded.batch.tables.get("starts")
    rows = () if table is None else zip(*(column.to_pylist() for column in table.columns), strict=True)
    return {row for row in rows if row[2]}


def described(decoded) -> tuple:
    tables = {name: table for name, table in decoded.batch.tables.items() if name != "starts"}
    for table in tables.values():
        table.validate(full=True)
    rows = {name: repr(tables[name].to_pylist()) for name in sorted(tables)}
    return {name: tables[name].schema for name in tables}, rows, dict(decoded.rejected), decoded.pending.totals


def both(fast, body: bytes, left: SeriesCache, right: SeriesCache, commit: bool, never_rare: bool) -> None:
    from obs.otlp.work import Rare

    try:
        expected = slow_metrics.decode_metrics(body, right)
    except UserError:
        expected = None
    try:
        got = fast.decode_metrics(body, left)
    except (Rare, UserError):
        assert expected is None or not never_rare
        return
    if expected is None:  # kernels do not look inside what they skip, such as a metric's own metadata
        return
    assert described(got) == described(expected)
    assert told(got) <= told(expected)  # the plain path says again what it said before
    if not left.slots.info[:, START].any():
        assert told(got) == told(expected)
    if commit:
        left.commit(got)
        right.commit(expected)


@check
@given(run=st.lists(st.tuples(bodies, st.booleans()), min_size=1, max_size=4))
def test_a_run_of_bodies(fast, run):
    left, right = SeriesCache(), SeriesCache()
    for body, commit in run:
        both(fast, body, left, right, commit, never_rare=True)
        both(fast, body, left, right, commit, never_rare=True)


@check
@given(body=bodies, where=st.floats(0, 1), piece=st.binary(min_size=1, max_size=3), cut=st.booleans())
def test_damaged_bodies(fast, body, where, piece, cut):
    at = int(where * len(body))
    left, right = SeriesCache(), SeriesCache()
    both(fast, body[:at] if cut else body[:at] + piece + body[at + len(piece) :], left, right, True, never_rare=False)


@check
@given(body=st.binary(max_size=50))
def test_random_bytes(fast, body):
    both(fast, body, SeriesCache(), SeriesCache(), True, never_rare=False)


def test_thousands_of_new_series_make_the_table_grow(fast):
    left, right = SeriesCache(), SeriesCache()
    for start in range(0, 6000, 1500):
        made = [
            NumberDataPoint(as_int=i, attributes=[KeyValue(key="i", value=AnyValue(int_value=i))])
            for i in range(start, start + 3000)
        ]
        metric = Metric(name="m", gauge=Gauge(data_points=made))
        group = ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[metric])])
        both(fast, MetricsData(resource_metrics=[group]).SerializeToString(), left, right, True, never_rare=True)


def test_too_many_labels(fast):
    left, right = SeriesCache(), SeriesCache()
    many = [KeyValue(key=f"k{i}", value=AnyValue(int_value=i)) for i in range(10_000)]
    metric = Metric(name="m", gauge=Gauge(data_points=[NumberDataPoint(as_int=1, attributes=many)] * 2))
    body = MetricsData(resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[metric])])])
    for _ in range(2):
        both(fast, body.SerializeToString(), left, right, True, never_rare=True)
    assert fast.decode_metrics(body.SerializeToString(), left).rejected == {"too_many_labels": 2}


def test_warm_body(fast):
    both(fast, warm_bodies.metrics_body(), SeriesCache(), SeriesCache(), True, never_rare=True)


def test_threads_share_a_cache(fast):
    """Four threads decode and commit overlapping bodies; what each gets is what the plain path gets alone."""
    shared = SeriesCache()

    def one_body(start: int) -> bytes:
        made = [
            NumberDataPoint(as_int=i, attributes=[KeyValue(key="i", value=AnyValue(int_value=i))])
            for i in range(start, start + 400)
        ]
        group = ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[Metric(name="m", gauge=Gauge(data_points=made))])])
        return MetricsData(resource_metrics=[group]).SerializeToString()

    def run(offset: int) -> list:
        found = []
        for start in range(offset, 6000, 300):
            decoded = fast.decode_metrics(one_body(start), shared)
            shared.commit(decoded)
            found.append((start, decoded.batch.tables["samples"].to_pydict()))
        return found

    with ThreadPoolExecutor(4) as pool:
        results = [pair for found in pool.map(run, range(0, 400, 100)) for pair in found]
    for start, samples in results[::7]:
        expected = slow_metrics.decode_metrics(one_body(start), SeriesCache())
        assert samples == expected.batch.tables["samples"].to_pydict()
    assert len(shared.series) == 5900 + 400
    assert not shared.slots.labels
