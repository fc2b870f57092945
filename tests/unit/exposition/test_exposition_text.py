"""Prometheus's text formats: what is read of a page, and what is said of a page that cannot be read."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from obs.exposition import parse, series_labels
from obs.exposition.text import ExpositionError


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("requests", "Requests\nin all.", ["path"], registry=made).labels('/a"b\\c\n}').inc(
        3, {"trace_id": 'x # {y="z"}'}
    )
    Gauge("temperature", "Now.", registry=made).set(math.nan)
    Histogram("took", "Seconds.", buckets=(0.5, 1), unit="seconds", registry=made).observe(0.7)
    return made


@pytest.mark.parametrize("openmetrics", [False, True])
def test_what_a_client_shows_is_read(openmetrics: bool) -> None:
    made = registry()
    shown = (generate_openmetrics if openmetrics else generate_latest)(made).decode()
    page = parse(shown, openmetrics)
    expected = {
        tuple(sorted({**sample.labels, "__name__": sample.name}.items())): sample.value
        for family in made.collect()
        for sample in family.samples
        if openmetrics or not sample.name.endswith("_created")
    }
    found = {series_labels(row.series): row.value for row in page.rows if "_created" not in row.series or openmetrics}
    assert {k: repr(v) for k, v in found.items()} == {k: repr(v) for k, v in expected.items()}
    counter = "requests" if openmetrics else "requests_total"
    assert (page.families[counter].kind, page.families[counter].help) == ("counter", "Requests\nin all.")
    if openmetrics:
        exemplars = [row.exemplar for row in page.rows if row.exemplar is not None]
        assert [(e.labels, e.value) for e in exemplars] == [((("trace_id", 'x # {y="z"}'),), 3.0)]
        assert page.families["took_seconds"].unit == "seconds"


def test_times_and_odd_lines() -> None:
    page = parse('# a comment\n\n a 1 1700\nb{} 2 -5\n{"c.d",e="f"} +Inf\ng{h="i",} -Inf 7\n')
    assert [(series_labels(r.series), r.value, r.t_ms) for r in page.rows] == [
        ((("__name__", "a"),), 1.0, 1700),
        ((("__name__", "b"),), 2.0, -5),
        ((("__name__", "c.d"), ("e", "f")), math.inf, None),
        ((("__name__", "g"), ("h", "i")), -math.inf, 7),
    ]
    assert parse("a 1 1.5\n# EOF\n", openmetrics=True).rows[0].t_ms == 1500


@pytest.mark.parametrize(
    ("page", "openmetrics", "cause"),
    [
        ("a 1\nb\n", False, "line 2 'b'"),
        ("a one\n", False, "'one' is no number"),
        ("a 1_0\n", False, "'1_0' is no number"),
        ("a 1 2 3\n", False, "followed by a value"),
        ("a 1 x\n", False, "no time"),
        ("a 1 99999999999999999999\n", False, "out of range"),
        ("a 1 inf\n# EOF\n", True, "no time in seconds"),
        ("a 1 nan\n# EOF\n", True, "no time in seconds"),
        ("a 1 1e300\n# EOF\n", True, "out of range"),
        ("a 1\n", True, "# EOF"),
        ('a 1 # {b="c"}\n# EOF\n', True, "exemplar"),
    ],
)
def test_pages_that_cannot_be_read(page: str, openmetrics: bool, cause: str) -> None:
    with pytest.raises(ExpositionError) as told:
        parse(page, openmetrics)
    assert cause in str(told.value)


@pytest.mark.parametrize(
    "series", ["", '{a="b"}', 'x{a="b"', "x{a=b}", "x{a}", 'x{a="b" c="d"}', 'x{a="b",a="c"}', "x{=}"]
)
def test_series_that_cannot_be_read(series: str) -> None:
    with pytest.raises(ExpositionError):
        series_labels(series)
