"""Results of queries as lines."""

from __future__ import annotations

from obs.cli.query import rows
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
