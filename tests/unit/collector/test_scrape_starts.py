"""Start timestamps of pages: from the samples `_created` of OpenMetrics, as a client shows them, and from protobuf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exposition_messages import delimited, family
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from protobuf_fields import field

from obs.collector.receivers.scrape.config import parse as jobs
from obs.collector.receivers.scrape.series import TargetSeries
from obs.collector.receivers.scrape.targets import Target
from obs.exposition import Page, parse
from obs.exposition.delimited import Histograms, parse_delimited
from obs.model.schema import DAY_MS
from obs.otlp import SeriesCache
from obs.tsdb.promql import PromQL
from obs.tsdb.store import MetricStore

NOW_MS = 1_700_000_000_000


def target(**settings: Any) -> TargetSeries:
    (job,) = jobs([{"job_name": "j", **settings}])
    return TargetSeries(Target(job, "", (("job", "j"),), (), 60.0, 10.0))


class Told:
    """What the pages of one target tell of starts: by name and labels, with the times in milliseconds after NOW_MS."""

    def __init__(self, **settings: Any) -> None:
        self.series, self._cache, self._names = target(**settings), SeriesCache(), dict[int, str]()

    def of(self, page: Page, at_ms: int = 0, taken: bool = True) -> dict[str, tuple[int, int]]:
        decode, _ = self.series.page(page, NOW_MS + at_ms, 0.1)
        decoded = decode(self._cache)
        tables = decoded.batch.tables
        for row in tables["series"].to_pylist() if "series" in tables else ():
            labels = {k: v for k, v in row["labels"] if k != "job"}
            self._names[row["series_id"]] = labels.pop("__name__") + "".join(f" {k}={v}" for k, v in labels.items())
        if taken:
            self._cache.commit(decoded)
            self.series.stored()
        else:
            self.series.refused()
        rows = tables["starts"].to_pylist() if "starts" in tables else []
        return {
            self._names[r["series_id"]]: (r["t_ms"] - NOW_MS, r["start_ms"] - NOW_MS if r["start_ms"] else 0)
            for r in rows
        }


def test_created_samples_of_a_client_are_the_starts_of_those_beside_them() -> None:
    registry = CollectorRegistry()
    counter = Counter("sent", "Sent.", ["to"], registry=registry)
    counter.labels("a").inc()
    Gauge("depth", "Depth.", registry=registry).set(3)
    Histogram("took", "Took.", buckets=[1.0], registry=registry).observe(0.5)
    Summary("size", "Size.", registry=registry).observe(0.5)
    text = openmetrics.generate_latest(registry).decode()
    page = parse(text, openmetrics=True)
    created = {row.series: int(row.value * 1000) - NOW_MS for row in page.rows if "_created" in row.series}
    assert len(created) == 3
    told, sent, took, size = Told(), created['sent_created{to="a"}'], created["took_created"], created["size_created"]
    assert told.of(page) == {
        "sent_total to=a": (0, sent),
        **{f"took_{part}": (0, took) for part in ("bucket le=1.0", "bucket le=+Inf", "count", "sum")},
        **{f"size_{part}": (0, size) for part in ("count", "sum")},
    }
    assert told.of(page, 15_000) == {}
    counter.labels("b").inc()
    (name,) = told.of(parse(openmetrics.generate_latest(registry).decode(), openmetrics=True), 30_000)
    assert name == "sent_total to=b"
    older = Told()  # there these are gauges like any other
    assert older.of(parse(generate_latest(registry).decode())) == {}


def page_of(created_s: float | None) -> Page:
    said = "" if created_s is None else f"n_created {created_s}\n"
    return parse(f"# TYPE n counter\nn_total 1\n{said}# EOF\n", openmetrics=True)


def test_a_start_is_told_where_it_is_news_and_once_a_day() -> None:
    told, began, midnight = Told(), NOW_MS / 1000 - 5, DAY_MS - NOW_MS % DAY_MS
    assert told.of(page_of(began), taken=False) == {"n_total": (0, -5000)}
    assert told.of(page_of(began)) == {"n_total": (0, -5000)}  # the first was not stored
    assert told.of(page_of(began), 1000) == {}
    assert told.of(page_of(began + 6), 2000) == {"n_total": (2000, 1000)}
    assert told.of(page_of(None), 3000) == {"n_total": (3000, 0)}
    assert told.of(page_of(None), 4000) == {}
    assert told.of(page_of(began), midnight - 1) == {"n_total": (midnight - 1, -5000)}
    assert told.of(page_of(began), midnight) == {"n_total": (midnight, -5000)}
    for odd in ("NaN", "+Inf", "-1", "1e300"):
        assert Told().of(parse(f"# TYPE n counter\nn_total 1\nn_created {odd}\n# EOF\n", openmetrics=True)) == {}


def test_starts_outlive_relabeling() -> None:
    rules = [
        {"source_labels": ["__name__"], "regex": ".*_created", "action": "drop"},
        {"source_labels": ["__name__"], "regex": "n_total", "target_label": "__name__", "replacement": "renamed"},
    ]
    assert Told(metric_relabel_configs=rules).of(page_of(NOW_MS / 1000 - 5)) == {"renamed": (0, -5000)}


def test_a_page_is_kept_whose_starts_are_no_times() -> None:
    for seconds in (1 << 62, (1 << 63) - 1, (1 << 64) - 5):
        counter = family("sent_total", 0, field(3, field(1, 2.0) + field(3, field(1, seconds))))
        page = parse_delimited(delimited(counter), Histograms())
        assert (Told().of(page), [row.value for row in page.rows]) == ({}, [2.0])


def test_an_exemplar_at_no_time_is_kept_at_that_of_its_sample() -> None:
    for seconds in (1 << 62, (1 << 63) - 1):
        example = field(1, field(1, b"trace_id") + field(2, b"x")) + field(2, 1.0) + field(3, field(1, seconds))
        page = parse_delimited(delimited(family("sent_total", 0, field(3, field(1, 2.0) + field(2, example)))))
        decode, _ = target().page(page, NOW_MS, 0.1)
        (row,) = decode(SeriesCache()).batch.tables["exemplars"].to_pylist()
        assert row["t_ms"] == NOW_MS


def test_protobuf_says_starts_itself() -> None:
    created = field(1, NOW_MS // 1000 - 5) + field(2, 7_000_000)
    counter = family("sent_total", 0, field(3, field(1, 2.0) + field(3, created)))
    summary = family("size", 2, field(4, field(1, 1) + field(2, 1.0) + field(4, created)))
    messages = delimited(counter, summary, family("depth", 1, field(2, field(1, 2.0))))
    expected = dict.fromkeys(("sent_total", "size_count", "size_sum"), (0, -4993))
    assert Told().of(parse_delimited(messages)) == expected
    took = field(7, field(1, 1) + field(2, 1.0) + field(6, 1e-128) + field(15, created))
    told = Told().of(parse_delimited(delimited(family("took", 4, took)), Histograms(native=True)))
    assert told == dict.fromkeys(("took", "took_bucket le=+Inf", "took_count", "took_sum"), (0, -4993))


def test_queries_that_heed_starts_see_them(tmp_path: Path) -> None:
    store, cache, series = MetricStore(tmp_path), SeriesCache(), target()
    store.open()
    for at_s, created_s, value in ((0, -5, 4), (15, -5, 5), (30, 20, 6), (45, 20, 8)):
        text = f"# TYPE n counter\nn_total {value}\nn_created {NOW_MS / 1000 + created_s}\n# EOF\n"
        decode, _ = series.page(parse(text, openmetrics=True), NOW_MS + 1000 * at_s, 0.1)
        decoded = decode(cache)
        store.consume(decoded.batch)
        cache.commit(decoded)
        series.stored()
    promql, end = PromQL(store), NOW_MS + 45_000
    for heeded, resets in ((True, 1.0), (False, 0.0)):
        assert promql.query("resets(n_total[1m])", end, use_starts=heeded).values.tolist() == [[resets]]
    assert promql.query("n_created", end).values.tolist() == [[NOW_MS / 1000 + 20]]
    store.close()
