"""What a page comes to: its labels' numbers, samples that are said twice, and the counts of pages that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from exposition_messages import delimited, family
from protobuf_fields import field

from obs.collector.ledger import Ledger
from obs.collector.pipeline import Pipeline
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.scrape.config import parse as jobs
from obs.collector.receivers.scrape.receiver import Scraper
from obs.collector.receivers.scrape.series import DUPLICATE, PageRefused, TargetSeries, Told
from obs.collector.receivers.scrape.targets import Target
from obs.exposition import Page, parse
from obs.exposition.bounds import bound_text
from obs.exposition.delimited import parse_delimited
from obs.exposition.text import ExpositionError
from obs.model.batch import Batch, Signal
from obs.model.clock import SYSTEM_CLOCK
from obs.otlp import SeriesCache

NOW_MS = 1_700_000_000_000


def target(**settings: Any) -> TargetSeries:
    (job,) = jobs([{"job_name": "j", **settings}])
    return TargetSeries(Target(job, "", (("job", "j"),), (), 60.0, 10.0))


def taken(series: TargetSeries, page: Page) -> tuple[dict[tuple[tuple[str, str], ...], list[float]], dict[str, int]]:
    """Values by labels without `job`, and what was left out by reason."""
    decode, _ = series.page(page, NOW_MS, 0.1)
    decoded = decode(SeriesCache())
    tables = decoded.batch.tables
    named = dict(zip(*(tables["series"][i].to_pylist() for i in (0, 1)), strict=True))
    found: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for series_id, _, value in zip(*(column.to_pylist() for column in tables["samples"].columns), strict=True):
        labels = tuple((k, v) for k, v in named[series_id] if k != "job")
        found.setdefault(labels, []).append(value)
    series.stored()
    return found, dict(decoded.rejected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, "1.0"), (0.0, "0.0"), (-1.0, "-1.0"), (0.5, "0.5"), (1e6, "1e+06"), (123456.0, "123456.0"),
        (1234567.0, "1.234567e+06"), (999999.5, "999999.5"), (1e-4, "0.0001"), (1e-5, "1e-05"), (2.5e-7, "2.5e-07"),
        (1e21, "1e+21"), (1e100, "1e+100"), (-2e6, "-2e+06"), (float("inf"), "+Inf"), (float("-inf"), "-Inf"),
        (float("nan"), "NaN"), (5e-324, "5e-324"), (100000.0, "100000.0"),
    ],
)  # fmt: skip
def test_numbers_in_labels_are_written_as_go_writes_floats(value: float, expected: str) -> None:
    assert bound_text(value) == expected


@pytest.mark.parametrize("openmetrics", [False, True])
@pytest.mark.parametrize(
    ("kind", "line", "label", "expected"),
    [
        ("histogram", 'x_bucket{le="1000000"} 1', "le", "1e+06"),
        ("histogram", 'x_bucket{le="1e+06"} 1', "le", "1e+06"),
        ("histogram", 'x_bucket{le="1"} 1', "le", "1.0"),
        ("histogram", 'x_bucket{le="+inf"} 1', "le", "+Inf"),
        ("histogram", 'x_bucket{le=" 1"} 1', "le", " 1"),
        ("histogram", 'x_bucket{le="1e999"} 1', "le", "1e999"),
        ("histogram", 'x_bucket{le="1_0"} 1', "le", "1_0"),
        ("summary", 'x{quantile="0.90"} 1', "quantile", "0.9"),
        ("summary", 'x{quantile="1"} 1', "quantile", "1.0"),
        ("gauge", 'x_bucket{le="1"} 1', "le", "1"),
        ("gaugehistogram", 'x_bucket{le="1"} 1', "le", "1"),
        ("summary", 'x_bucket{le="1"} 1', "le", "1"),
        ("histogram", 'another{le="1"} 1', "le", "1.0"),  # the type line above counts, whatever its name
    ],
)
def test_edges_are_normal_where_the_type_above_says_so(
    openmetrics: bool, kind: str, line: str, label: str, expected: str
) -> None:
    page = parse(f"# TYPE x {kind}\n{line}\n{'# EOF' if openmetrics else ''}\n", openmetrics)
    found, _ = taken(target(), page)
    assert [dict(labels)[label] for labels in found if label in dict(labels)] == [expected]


def test_without_a_type_nothing_is_changed() -> None:
    found, _ = taken(target(), parse('x_bucket{le="1"} 1\n# TYPE x histogram\nx_bucket{le="2"} 1\n'))
    assert [dict(labels)["le"] for labels in found if "le" in dict(labels)] == ["1", "2.0"]


def test_protobuf_edges_are_the_same_as_those_of_text() -> None:
    bucket = field(3, field(1, 2) + field(2, 1e6))
    classic = field(7, field(1, 2) + field(2, 1.0) + bucket)
    found, _ = taken(target(), parse_delimited(delimited(family("took", 4, classic))))
    assert {dict(labels).get("le") for labels in found} == {"1e+06", "+Inf", None}


def test_the_first_of_samples_that_are_said_twice_is_kept_and_the_others_are_counted() -> None:
    found, left_out = taken(target(), parse('a{x="1"} 1\nb 5\na{x="1"} 2\na{x="1",} 3\n'))
    assert found[("__name__", "a"), ("x", "1")] == [1.0]
    assert left_out == {DUPLICATE: 2}
    assert (found[(("__name__", "scrape_samples_scraped"),)], found[(("__name__", "scrape_series_added"),)]) == (
        [4.0],
        [2.0],
    )
    assert found[(("__name__", "scrape_samples_post_metric_relabeling"),)] == [4.0]


def test_samples_of_one_series_with_times_of_their_own_are_all_kept() -> None:
    found, left_out = taken(target(), parse("a 1 1000\na 2 2000\na 3 1000\n"))
    assert found[(("__name__", "a"),)] == [1.0, 2.0] and left_out == {DUPLICATE: 1}
    found, left_out = taken(target(honor_timestamps=False), parse("a 1 1000\na 2 2000\n"))
    assert found[(("__name__", "a"),)] == [1.0] and left_out == {DUPLICATE: 1}


def test_a_page_past_its_sample_limit_is_counted_all_the_same() -> None:
    drop = [{"source_labels": ["__name__"], "regex": "d", "action": "drop"}]
    series = target(sample_limit=2, metric_relabel_configs=drop)
    for added in (2, 0):
        with pytest.raises(PageRefused, match="3 samples are over the sample_limit of 2") as refused:
            series.page(parse("a 1\nb 2\nd 3\nc 4\n"), NOW_MS, 0.1)
        assert refused.value.told == Told(4, 3, added)
    decoded = series.failed(NOW_MS, 0.1, refused.value.told)(SeriesCache())
    assert decoded.batch.tables["samples"].column("value").to_pylist() == [0.0, 0.1, 4.0, 3.0, 0.0]


def test_a_page_that_breaks_off_is_counted_up_to_there() -> None:
    series = target()
    with pytest.raises(ExpositionError) as broken:
        parse("a 1\nb 2\nc\nd 4\n")
    assert broken.value.page is not None and series.counted(broken.value.page) == Told(2, 2, 2)
    with pytest.raises(PageRefused) as refused:
        series.page(parse("a 1\nb{x} 2\nd 4\n"), NOW_MS, 0.1)
    assert refused.value.told == Told(1, 1, 1)


def test_a_page_with_too_many_labels_is_counted_up_to_there() -> None:
    with pytest.raises(PageRefused, match="label_limit of 3") as refused:
        target(label_limit=3).page(parse('a 1\nb{x="1",y="2"} 2\nd 4\n'), NOW_MS, 0.1)
    assert refused.value.told == Told(2, 1, 1)


def test_a_metric_that_loses_its_name_is_an_error() -> None:
    nameless = [{"target_label": "__name__", "replacement": ""}]
    with pytest.raises(PageRefused, match="missing metric name"):
        target(metric_relabel_configs=nameless).page(parse("a 1\n"), NOW_MS, 0.1)


def test_series_that_come_back_after_a_scrape_that_failed_are_not_new() -> None:
    series = target()
    assert series.page(parse("a 1\nb 2\n"), NOW_MS, 0.1)[1].added == 2
    series.failed(NOW_MS, 0.1)
    assert series.page(parse("a 1\nb 2\nc 3\n"), NOW_MS, 0.1)[1].added == 1


class Broken(TargetSeries):
    """Meets a bug with every page."""

    def page(self, page: Page, at_ms: int, took_s: float) -> Any:
        raise ZeroDivisionError


def test_a_bug_is_a_scrape_that_failed(tmp_path: Path) -> None:
    stored = list[Batch]()
    (job,) = jobs([{"job_name": "j"}])
    series = Broken(Target(job, "", (("job", "j"),), (), 60.0, 10.0))
    scraper = Scraper(Intake(Pipeline({Signal.METRICS: Keeping(stored)}), Ledger()), SYSTEM_CLOCK, tmp_path)
    error, _ = scraper._take(series, (b"a 1\n", "text/plain", job), NOW_MS, 0.1, "")
    scraper.close()
    assert error.startswith("internal error ")
    assert [table.column("value")[0].as_py() for table in (batch.tables["samples"] for batch in stored)] == [0.0]  # up


class Keeping:
    """A store that keeps what it takes."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches

    def consume(self, batch: Batch) -> None:
        self.batches.append(batch)


TYPED = """# TYPE a counter
# UNIT a seconds
a_total{__type__="x",i="1"} 1
# TYPE h histogram
h_bucket{le="+Inf"} 1
h_sum 2
untold 3
# EOF
"""


def test_series_have_their_type_and_unit_where_that_is_asked() -> None:
    (job,) = jobs([{"job_name": "j"}])
    series = TargetSeries(Target(job, "", (("job", "j"),), (), 60.0, 10.0), (), typed=True)
    found, _ = taken(series, parse(TYPED, openmetrics=True))
    assert list(map(dict, found)) == [
        {"__name__": "a_total", "__type__": "counter", "__unit__": "seconds", "i": "1"},
        {"__name__": "h_bucket", "__type__": "histogram", "le": "+Inf"},
        {"__name__": "h_sum", "__type__": "histogram"},
        {"__name__": "untold"},
    ]
