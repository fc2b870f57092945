"""The waterfall: order, depth, places and self time."""

from __future__ import annotations

import pytest

from obs.ui.pages.traces import is_traceql, parse_tags
from obs.ui.tracing import Span, bounds, self_time_s, services, waterfall

S = 1_000_000_000


def span(id: str, parent: str, start: int, end: int, service: str = "a") -> Span:
    """A span between two seconds."""
    return Span(id, parent, id, service, start * S, end * S)


def test_children_follow_their_parent_by_start() -> None:
    rows = waterfall(
        [span("late", "root", 5, 9), span("root", "", 0, 10), span("early", "root", 1, 4), span("leaf", "early", 2, 3)]
    )
    assert [(r.span.id, r.depth, r.children) for r in rows] == [
        ("root", 0, 2),
        ("early", 1, 1),
        ("leaf", 2, 0),
        ("late", 1, 0),
    ]
    assert (rows[1].left, rows[1].width) == (0.1, 0.3)


def test_a_lost_parent_makes_a_root_that_says_so() -> None:
    rows = waterfall([span("b", "gone", 2, 3), span("a", "", 0, 1)])
    assert [(r.span.id, r.depth, r.orphan) for r in rows] == [("a", 0, False), ("b", 0, True)]


def test_a_span_that_is_its_own_parent_is_shown_once() -> None:
    assert [r.span.id for r in waterfall([span("a", "a", 0, 1)])] == ["a"]


@pytest.mark.parametrize(
    ("children", "own"),
    [
        ([], 10), ([(1, 4)], 7), ([(1, 4), (2, 6)], 5), ([(0, 10)], 0), ([(8, 15)], 8), ([(-3, 2)], 8),
        ([(11, 12)], 10),
        ([(2, 8), (3, 4)], 4),
    ],
)  # fmt: skip
def test_self_time_is_what_no_child_covers(children: list[tuple[int, int]], own: int) -> None:
    assert self_time_s(span("p", "", 0, 10), [span("c", "p", s, e) for s, e in children]) == own


def test_services_by_their_own_time() -> None:
    spans = [span("r", "", 0, 10, "web"), span("c", "r", 1, 9, "db")]
    assert services(spans) == {"db": (1, 8.0), "web": (1, 2.0)}
    assert list(services(spans)) == ["db", "web"]
    assert bounds([]) == (0, 0)


def test_instant_traces_have_a_width_all_the_same() -> None:
    (row,) = waterfall([span("a", "", 5, 5)])
    assert (row.left, row.width) == (0, 0)


def test_attributes_as_typed() -> None:
    assert parse_tags('a=b http.route=/x?y=1 c="d \\"e\\"" ') == {"a": "b", "http.route": "/x?y=1", "c": 'd "e"'}
    assert parse_tags("") == {}
    with pytest.raises(ValueError, match="cannot read attributes at 'just words'"):
        parse_tags("a=b just words")


def test_traceql_is_told_from_attributes() -> None:
    assert [is_traceql(t) for t in ("{ .a = 1 }", "({ .a = 1 } | count() > 2) >> { }", "a={1}", "")] == [
        True, True, False, False,
    ]  # fmt: skip
