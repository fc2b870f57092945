"""From the search box to LogQL, and from answers to rows."""

from __future__ import annotations

import pytest

from obs.client import QueryResult
from obs.ui import log_query


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("", False), ("timeout", False), ('{a="b"} |= "rate(x"', False), ("rate of change", False),
        ('sum by (a) (rate({a="b"}[1m]))', True), ("topk(3, sum(rate({}[1m])))", True),
        ("count_over_time({}[1m])", True),
        ("sum total", False),
    ],
)  # fmt: skip
def test_what_computes_numbers(text: str, metric: bool) -> None:
    assert log_query.is_metric_query(text) is metric


def test_facets_are_added_to_the_query() -> None:
    assert log_query.with_filters("", []) == "{}"
    assert log_query.with_filters("timeout", ["level=error", 'a!=x"y']) == 'timeout | level = "error" | a != "x\\"y"'
    assert log_query.with_filters("x", ["no pair", "bad-name=1"]) == "x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('timeout "calling bank" | a = "b"', ["timeout", "calling bank"]),
        ('{a="b"} |= "one" |~ "two" != "three"', ["one", "two"]),
        ("", []),
        ("a", []),
    ],
)
def test_words_to_mark(text: str, words: list[str]) -> None:
    assert log_query.words_of(text) == words


def test_rows_are_newest_first_with_attributes_apart() -> None:
    streams = [
        {
            "stream": {"service_name": "a"},
            "values": [["5", "x", {"structuredMetadata": {"detected_level": "WARNING"}}]],
        },
        {"stream": {"level": "Err"}, "values": [["9", "y"], ["7", "z", {"parsed": {"k": "v"}}]]},
    ]
    rows = log_query.rows(QueryResult("streams", streams))
    assert [(r["t"], r["level"], r["service"]) for r in rows] == [
        ("9", "error", ""),
        ("7", "error", ""),
        ("5", "warn", "a"),
    ]
    assert rows[1]["own"] == {"k": "v"}
    assert log_query.rows(QueryResult("matrix", [])) == []


def test_volumes_by_level_fill_holes_with_zero() -> None:
    result = [
        {"metric": {"detected_level": "info"}, "values": [[60, "2"], [120, "3"]]},
        {"metric": {}, "values": [[120, "1"]]},
    ]
    assert log_query.volumes(QueryResult("matrix", result)) == ([60, 120], {"info": [2, 3], "other": [0, 1]})


def test_facet_values_by_count() -> None:
    result = [
        {"metric": {"a": "x"}, "value": [0, "3"]},
        {"metric": {"a": "y"}, "value": [0, "8"]},
        {"metric": {}, "value": [0, "9"]},
    ]
    assert log_query.facet(QueryResult("vector", result), "a") == [("y", 8), ("x", 3)]
