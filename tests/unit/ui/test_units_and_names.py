"""Units guessed from names, numbers written for people, and names of series."""

from __future__ import annotations

import math

import pytest

from obs.ui.naming import full_name, quoted, short_names
from obs.ui.units import BYTES, BYTES_S, MILLISECONDS, NONE, PERCENT, RATE, SECONDS, Unit, duration, unit_of


@pytest.mark.parametrize(
    ("query", "unit"),
    [
        ("node_memory_MemFree_bytes", BYTES),
        ("sum by (job) (rate(node_network_receive_bytes_total[5m]))", BYTES_S),
        ("histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))", SECONDS),
        ("http_request_duration_seconds", SECONDS),
        ("histogram_quantile(0.9, rate(http_duration_milliseconds_bucket[5m]))", MILLISECONDS),
        ("rate(http_duration_milliseconds_sum[5m])", NONE),
        ("rate(http_requests_total[1m])", RATE),
        ("rate(node_cpu_seconds_total[1m])", NONE),
        ("node_load1", NONE),
        ('up{path="/a_bytes"}', NONE),
        ("a_bytes / b_bytes", NONE),
        ("sum by (some_bytes) (node_load1)", NONE),
        ("container_memory_working_set_bytes", BYTES),
        ("disk_used_ratio", PERCENT),
        ("1 + 1", NONE),
        ("(((", NONE),
    ],
)
def test_units_of_queries(query: str, unit: Unit) -> None:
    assert unit_of(query) is unit


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (NONE, 0.0, "0"), (NONE, 0.5, "0.5"), (NONE, 999.6, "1e+03"), (NONE, 12345.0, "12.3 k"),
        (NONE, 1e-5, "1e-05"), (NONE, 1.85e-4, "0.000185"),
        (BYTES, 0, "0 B"),
        (RATE, 59.3, "59.3 /s"), (BYTES_S, 59.3, "59.3 B/s"),
        (BYTES, 1536e6, "1.54 GB"), (BYTES_S, 2500, "2.5 kB/s"), (PERCENT, 0.136, "13.6 %"),
        (PERCENT, 25.0, "2500 %"), (SECONDS, 0.0125, "12.5 ms"), (MILLISECONDS, 1500, "1.5 s"),
        (SECONDS, 7500, "2 h 5 m"), (NONE, None, "–"),
        (NONE, math.nan, "–"), (BYTES, math.inf, "∞"), (BYTES, -2e9, "-2 GB"),
    ],
)  # fmt: skip
def test_numbers_for_people(unit: Unit, value: float | None, text: str) -> None:
    assert unit.text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (3e-9, "3 ns"), (4.5e-6, "4.5 µs"), (0.25, "250 ms"), (0.99999, "1 s"), (59.4, "59.4 s"), (60, "1 m"),
     (3725, "1 h 2 m"), (90000, "1 d 1 h"), (86400, "1 d")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_full_names_select_just_one_series() -> None:
    assert full_name({"__name__": "up", "b": 'x"\\\n', "a": "1"}) == 'up{a="1",b="x\\"\\\\\\n"}'
    assert full_name({"a": "1"}) == '{a="1"}'
    assert full_name({"__name__": "up"}) == "up"
    assert quoted('a"b') == '"a\\"b"'


@pytest.mark.parametrize(
    ("series", "names"),
    [
        ([{"__name__": "up", "job": "a"}], ['up{job="a"}']),
        ([{"__name__": "up", "job": "a", "x": "1"}, {"__name__": "up", "job": "b", "x": "1"}], ["a", "b"]),
        ([{"a": "1", "b": "2"}, {"a": "2", "b": "1"}], ["a=1, b=2", "a=2, b=1"]),
        ([{"__name__": "x"}, {"__name__": "y"}], ["x", "y"]),
        ([{}], ["value"]),
        ([{"a": "1"}, {}], ["1", "value"]),
        ([], []),
    ],
)
def test_short_names_say_what_differs(series: list[dict[str, str]], names: list[str]) -> None:
    assert short_names(series) == names
