"""Queries as `format_query` and `parse_query` show them: as they were written, whatever `step()` would be."""

from __future__ import annotations

import pytest

from obs.errors import QueryError
from obs.tsdb.promql import printer
from obs.tsdb.promql.parse import parse, parse_to_show
from obs.tsdb.promql.tree import tree

STEP = {"type": "durationExpr", "op": "step", "lhs": None, "rhs": None, "wrapped": False}
MINUTE = {"type": "numberLiteral", "val": "60", "duration": True}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("up[step()+1m]", "up[step() + 1m]"),
        ("up[-(-1m)]", "up[-(-1m)]"),
        ("up[+step()]", "up[step()]"),
        ("up[(((1m)))]", "up[(1m)]"),
        ("up[1m*(2+step())]", "up[1m * (2 + step())]"),
        ("up[min_of(1m,step())]", "up[min_of(1m, step())]"),
        ("up[1m*2:step()] offset -step()", "up[1m * 2:step()] offset -step()"),
        ("up offset -(1m+1)", "up offset -(1m + 1)"),
        ("up offset 90", "up offset 1m30s"),
        ("up[5m-10m]", "up[5m - 10m]"),
        ("1h", "1h"),
        ("-1h + 90", "-1h + 90"),
        ('{__name__="b"}', '{__name__="b"}'),
        ('{__name__="a",__name__!="c"}', '{__name__!="c",__name__="a"}'),
        ('{"a.b"}', '{__name__="a.b"}'),
        ('a{x="y"}', 'a{x="y"}'),
    ],
)
def test_text(query: str, shown: str) -> None:
    assert printer.text(parse_to_show(query)) == shown


@pytest.mark.parametrize("query", ["up[0]", "up[-1m]", "up[1m:0s]", "up[5m/0]", "up[5m%0s]"])
def test_literals_are_still_checked(query: str) -> None:
    with pytest.raises(QueryError, match="must be greater than 0|by zero"):
        parse_to_show(query)


@pytest.mark.parametrize("query", ["up[step()]", "up[1m:step()]", "up[5m-10m]", "up[5m/step()]"])
def test_a_query_that_runs_needs_lengths(query: str) -> None:
    with pytest.raises(QueryError, match="must be greater than 0|by zero"):
        parse(query)


def test_tree() -> None:
    found = tree(parse_to_show("up[step() * 1m:1m] offset 1m"))
    assert found is not None
    product = {"type": "durationExpr", "op": "*", "lhs": STEP, "rhs": MINUTE, "wrapped": False}
    assert (found["range"], found["rangeExpr"], found["step"], found["stepExpr"]) == (0, product, 60_000, None)
    assert (found["offset"], found["offsetExpr"], found["expr"]["name"]) == (60_000, None, "up")
    named = tree(parse_to_show('{__name__="up"}'))
    assert named is not None and named["name"] == ""
