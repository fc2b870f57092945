"""Results of queries as lines."""

from __future__ import annotations

import pytest

from obs.cli.query import rows, times_of
from obs.client import QueryResult

HISTOGRAM = {"count": "6", "sum": "9.5", "buckets": [[1, "-2", "-1", "1"], [3, "-0.5", "0.5", "2"], [0, "1", "2", "3"]]}
TEXT = "{count:6, sum:9.5, [-2,-1):1, [-0.5,0.5]:2, (1,2]:3}"
M = {"__name__": "m"}


def test_numbers_and_native_histograms() -> None:
    vector = [{"metric": M, "value": [1, "3"]}, {"metric": M, "histogram": [2, HISTOGRAM]}]
    assert rows(QueryResult("vector", vector)) == [
        ("m", "1970-01-01T00:00:01.000Z", "3"),
        ("m", "1970-01-01T00:00:02.000Z", TEXT),
    ]
    empty = {"count": "0", "sum": "0"}
    matrix = [{"metric": M, "values": [[1, "3"]], "histograms": [[2, HISTOGRAM], [3, empty]]}]
    assert [value for _, _, value in rows(QueryResult("matrix", matrix))] == ["3", TEXT, "{count:0, sum:0}"]


@pytest.mark.parametrize(
    ("start", "end", "step", "at", "graph", "expected"),
    [
        ("", "now", "", "100", False, {"time_s": 100.0}),
        ("100", "700", "", "5", False, {"start_s": 100.0, "end_s": 700.0, "step_s": 10.0}),
        ("100", "700", "1m", "5", True, {"start_s": 100.0, "end_s": 700.0, "step_s": 60.0}),
        ("", "7200", "", "5", True, {"start_s": 3600.0, "end_s": 7200.0, "step_s": 60.0}),
        ("", "now", "", "7200", True, {"start_s": 3600.0, "end_s": 7200.0, "step_s": 60.0}),
    ],
)
def test_times_of_a_query(start: str, end: str, step: str, at: str, graph: bool, expected: dict[str, float]) -> None:
    assert times_of(start, end, step, at, graph) == expected
