"""Span metrics: every figure against a plain count, the guard on names, native histograms, exemplars, ends."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest
from derived_series import SECOND, Hands, Written, writer
from span_batches import SpanRow, spans_table

from obs.collector.processors.derived.families import NATIVE_FIRST, ZERO_THRESHOLD, native_buckets
from obs.collector.processors.derived.observed import Observed
from obs.collector.processors.derived.span_metrics import (
    KINDS,
    STATUSES,
    TEMPO_BOUNDS_S,
    SpanMetrics,
    SpanMetricsOptions,
)
from obs.collector.processors.derived.span_names import SpanNames
from obs.collector.processors.derived.state import OTHER
from obs.errors import Overloaded
from obs.model.batch import Batch, Signal
from obs.model.ports import UnknownSeries
from obs.model.stale import is_stale

LABELS = ("service", "span_name", "span_kind", "status_code")


def spans(seed: int, n: int) -> list[SpanRow]:
    at = random.Random(seed)
    return [
        SpanRow(
            seed * 10_000 + i + 1, i + 1, service=at.choice(["web", "cart", None]), name=at.choice(["get", "put", ""]),
            start=5, end=5 + at.choice([0, 2_000_000, 2_000_001, 7_000_000, 4_100_000_000, 10**11]),
            kind=at.randrange(6), status=at.randrange(3),
            attributes=at.choice([{}, {"http.method": "GET"}, {"http.method": 7}]),
            resource=at.choice([{}, {"zone": "a"}]),
        )
        for i in range(n)
    ]  # fmt: skip


def test_every_figure_is_that_of_a_plain_count() -> None:
    clock, written = Hands(), Written()
    metrics = SpanMetrics(SpanMetricsOptions(dimensions=["http.method", "zone"]), clock)
    sent = [spans(seed, 300) for seed in range(3)]
    for rows in sent:
        metrics.observe(spans_table(rows))
    writer(metrics, written, clock).write()
    calls, sums, buckets = (
        Counter[tuple[str, ...]](),
        defaultdict[tuple[str, ...], float](float),
        Counter[tuple[str, ...]](),
    )
    for row in (row for rows in sent for row in rows):
        method = str(row.attributes.get("http.method", ""))
        key = (row.service or "", row.name, KINDS[row.kind], STATUSES[row.status], method, row.resource.get("zone", ""))
        calls[key] += 1
        duration = (row.end - row.start) / 1e9
        sums[key] += duration
        for bound in (*TEMPO_BOUNDS_S, math.inf):
            buckets[(*key, "+Inf" if math.isinf(bound) else f"{bound:g}")] += duration <= bound
    labels = (*LABELS, "http_method", "zone")
    assert written.last("traces_spanmetrics_calls_total", *labels) == calls
    assert written.last("traces_spanmetrics_latency_count", *labels) == calls
    assert written.last("traces_spanmetrics_latency_sum", *labels) == pytest.approx(sums)
    assert written.last("traces_spanmetrics_latency_bucket", *labels, "le") == buckets
    size = sum(written.last("traces_spanmetrics_size_total", *labels).values())
    assert size == pytest.approx(sum(spans_table(rows).nbytes for rows in sent))
    metadata = {m["metric"]: m["type"] for m in written.batches[0].tables["metadata"].to_pylist()}
    assert metadata["traces_spanmetrics_calls"] == "counter"
    assert metadata["traces_spanmetrics_latency"] == "histogram"


def test_series_begin_at_zero_and_end_with_a_mark() -> None:
    clock, written = Hands(), Written()
    metrics = SpanMetrics(SpanMetricsOptions(), clock)
    timer = writer(metrics, written, clock)
    timer.write()
    assert not written.batches
    clock.ns += 20 * SECOND
    metrics.observe(spans_table([SpanRow(1, 1), SpanRow(1, 2)]))
    began = clock.ns // 10**6
    timer.write()
    clock.ns += 15 * SECOND
    metrics.observe(spans_table([SpanRow(2, 1)]))
    timer.write()
    ((_, values),) = written.samples("traces_spanmetrics_calls_total").items()
    assert values == [(began - 15_000, 0), (began, 2), (began + 15_000, 3)]
    clock.ns += 1000 * SECOND
    timer.write()
    ((_, values),) = written.samples("traces_spanmetrics_calls_total").items()
    assert is_stale(np.array([values[-1][1]]))
    clock.ns += 15 * SECOND
    timer.write()
    assert len(written.batches) == 3
    metrics.observe(spans_table([SpanRow(2, 1)]))
    timer.write()
    ((_, values),) = written.samples("traces_spanmetrics_calls_total").items()
    assert [v for _, v in values[-2:]] == [0, 1]


def test_the_zero_of_a_series_is_never_before_the_server_began() -> None:
    clock, written = Hands(), Written()
    metrics = SpanMetrics(SpanMetricsOptions(), clock)
    began = clock.ns // 10**6
    timer = writer(metrics, written, clock)
    metrics.observe(spans_table([SpanRow(1, 1)]))
    clock.ns += 2 * SECOND
    timer.close()
    timer.write()
    ((_, values),) = written.samples("traces_spanmetrics_calls_total").items()
    assert values == [(began, 0), (began + 2000, 1)]


def test_an_exemplar_that_comes_while_a_write_is_under_way_is_shown_with_the_next() -> None:
    clock, written = Hands(), Written()
    metrics = SpanMetrics(SpanMetricsOptions(), clock)

    def store(batch: Batch) -> None:
        written(batch)
        if len(written.batches) == 1:
            metrics.observe(spans_table([SpanRow(2, 1, end=500)]))

    timer = writer(metrics, store, clock)  # type: ignore[arg-type]
    metrics.observe(spans_table([SpanRow(1, 1, end=10)]))
    for _ in range(2):
        clock.ns += 15 * SECOND
        timer.write()
    shown = [dict(e["labels"])["trace_id"] for b in written.batches for e in b.tables["exemplars"].to_pylist()]
    assert shown == [f"{1:032x}", f"{2:032x}"]


def test_a_store_that_forgot_the_series_is_told_their_labels_again() -> None:
    clock, written, faults = Hands(), Written(), list[bool]()
    metrics = SpanMetrics(SpanMetricsOptions(), clock)

    def store(batch: Batch) -> None:
        if faults and faults.pop():
            raise UnknownSeries
        written(batch)

    timer = writer(metrics, store, clock)  # type: ignore[arg-type]
    metrics.observe(spans_table([SpanRow(1, 1)]))
    timer.write()
    written.labels.clear()
    faults.append(True)
    timer.write()
    assert len(written.samples("traces_spanmetrics_calls_total")) == 1
    assert len(written.batches) == 2
    timer.write()
    assert "series" not in written.batches[-1].tables


def test_weights_count_as_many_spans_as_they_say() -> None:
    clock, written = Hands(), Written()
    metrics = SpanMetrics(SpanMetricsOptions(), clock)
    rows = [
        SpanRow(1, i, end=10**9, attributes={"sampling.weight": w}) for i, w in enumerate([2, 10.0, -1, math.nan, 0], 1)
    ]
    metrics.observe(spans_table(rows))
    writer(metrics, written, clock).write()
    assert list(written.last("traces_spanmetrics_calls_total").values()) == [15]
    assert list(written.last("traces_spanmetrics_latency_sum").values()) == pytest.approx([15])


def test_names_of_the_connector() -> None:
    clock, written = Hands(), Written()
    metrics = SpanMetrics(SpanMetricsOptions(names="otel", dimensions=["span.kind"]), clock)
    metrics.observe(spans_table([SpanRow(1, 1, kind=2, end=3_000_000)]))
    writer(metrics, written, clock).write()
    own = ("service_name", "span_name", "span_kind", "status_code")
    key = ("shop", "op", "SPAN_KIND_SERVER", "STATUS_CODE_UNSET")
    assert written.last("traces_span_metrics_calls_total", *own) == {key: 1}
    buckets = written.last("traces_span_metrics_duration_milliseconds_bucket", *own, "le")
    assert (buckets[(*key, "2")], buckets[(*key, "4")]) == (0, 1)


def test_native_histograms_hold_what_came_and_exemplars_lead_to_traces() -> None:
    clock, written = Hands(), Written()
    metrics = SpanMetrics(SpanMetricsOptions(native=True), clock)
    durations = [0, 1, 999, 1_500, 250_000_000, 260_000_000, 3 * 10**9, 10**15]
    metrics.observe(spans_table([SpanRow(i + 1, i + 1, end=10 + d, start=10) for i, d in enumerate(durations)]))
    writer(metrics, written, clock).write()
    (row,) = written.batches[0].tables["histograms"].to_pylist()
    assert row["zero_count"] + sum(row["positive"]) == row["count"] == len(durations)
    assert row["zero_count"] == sum(d / 1e9 <= ZERO_THRESHOLD for d in durations)
    for duration in (1_500, 250_000_000, 3 * 10**9):
        index = math.ceil(math.log2(duration / 1e9) * 8)
        assert row["positive"][index - row["positive_offset"]] > 0
    assert row["sum"] == pytest.approx(sum(durations) / 1e9)
    assert written.labels[row["series_id"]]["__name__"] == "traces_spanmetrics_latency"
    exemplars = written.batches[0].tables["exemplars"].to_pylist()
    assert {dict(e["labels"])["trace_id"] for e in exemplars} == {f"{len(durations):032x}"}
    shown = [written.labels[e["series_id"]] for e in exemplars]
    assert {(labels["__name__"], labels.get("le")) for labels in shown} == {
        ("traces_spanmetrics_latency_bucket", "+Inf"), ("traces_spanmetrics_latency", None),
    }  # fmt: skip


@pytest.mark.parametrize("exponent", [-20, -3, 0, 1, 5])
def test_a_native_bucket_holds_its_upper_bound(exponent: int) -> None:
    values = np.array([2.0**exponent, 2.0**exponent * 1.000001])
    column = native_buckets(values)
    if exponent > -20:
        assert column.tolist() == [exponent * 8 - NATIVE_FIRST + 1, exponent * 8 - NATIVE_FIRST + 2]
    else:
        assert column.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GET /users/123/cart", "GET /users/{id}/cart"),
        ("GET /v1/api2/x", "GET /v1/api2/x"),
        ("job 6fa459ea-ee8a-3ca4-894e-db77e160355e", "job {id}"),
        ("fetch 4bf92f3577b34da6", "fetch {id}"),
        ("deadbeefdead", "deadbeefdead"),
        ("HTTP/1.1", "HTTP/1.1"),
        ("SELECT shop.orders_2024", "SELECT shop.orders_2024"),
        ("7", "{id}"),
    ],
)
def test_ids_in_names_are_replaced(name: str, expected: str) -> None:
    assert SpanNames(10)("s", name) == expected


def test_names_past_the_budget_of_a_service_are_one() -> None:
    clock, written = Hands(), Written()
    metrics = SpanMetrics(SpanMetricsOptions(max_span_names=3, dimensions=["k"]), clock)
    letters = "abcdefghij"
    rows = [SpanRow(1, i + 1, name=f"op {c}", attributes={"k": c}) for i, c in enumerate(letters)]
    metrics.observe(spans_table([*rows, SpanRow(2, 1, service="cart", name="op z")]))
    metrics.observe(spans_table(rows))
    writer(metrics, written, clock).write()
    calls = written.last("traces_spanmetrics_calls_total", "service", "span_name")
    assert len([name for service, name in calls if service == "shop"]) == 4
    assert calls["shop", OTHER] == 2 * (len(letters) - 3)
    assert calls["cart", "op z"] == 1


def test_names_that_are_idle_make_room_for_others() -> None:
    clock, written = Hands(), Written()
    metrics = SpanMetrics(SpanMetricsOptions(max_span_names=1), clock)
    timer = writer(metrics, written, clock)
    metrics.observe(spans_table([SpanRow(1, 1, name="old"), SpanRow(1, 2, name="more")]))
    timer.write()
    clock.ns += 1000 * SECOND
    timer.write()
    metrics.observe(spans_table([SpanRow(1, 1, name="new")]))
    timer.write()
    assert {k for k, v in written.last("traces_spanmetrics_calls_total", "span_name").items() if v == 1} == {("new",)}


def test_label_sets_past_the_limit_are_one() -> None:
    clock, written = Hands(), Written()
    metrics = SpanMetrics(SpanMetricsOptions(max_keys=5), clock)
    metrics.observe(spans_table([SpanRow(1, i + 1, service=f"s{i}") for i in range(50)]))
    writer(metrics, written, clock).write()
    calls = written.last("traces_spanmetrics_calls_total", "service")
    assert len(calls) == 6
    assert calls[OTHER,] == 45


def test_a_fault_in_counting_refuses_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(table: object) -> None:
        raise ZeroDivisionError

    class Store:
        def consume(self, batch: Batch) -> None:
            """Take all."""

    Observed(Store(), [broken]).consume(Batch(Signal.TRACES, {"spans": spans_table([SpanRow(1, 1)])}))
    assert "was not counted" in caplog.text


def test_spans_count_when_they_are_stored_and_not_before() -> None:
    seen, refusals = [0], [True]

    class Store:
        def consume(self, batch: Batch) -> None:
            if refusals and refusals.pop():
                raise Overloaded("cannot take batch: full; send it again")

    consumer = Observed(Store(), [lambda table: seen.append(table.num_rows)])
    batch = Batch(Signal.TRACES, {"spans": spans_table([SpanRow(1, 1)])})
    with pytest.raises(Overloaded):
        consumer.consume(batch)
    consumer.consume(batch)
    assert seen == [0, 1]
