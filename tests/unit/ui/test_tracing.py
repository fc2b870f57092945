"""The waterfall: rows, children and places in time."""

from __future__ import annotations

import pytest

from obs.ui.pages.traces import is_traceql, parse_tags
from obs.ui.tracing import Span, bounds, services, spans_of, waterfall

S = 1_000_000_000


def span(id: str, parent: str, start: int, end: int, service: str = "a", **more: int) -> Span:
    """A span between two seconds."""
    return Span(id, parent, id, service, start * S, end * S, **more)


def test_rows_come_in_the_order_of_the_tree() -> None:
    rows = waterfall(
        [
            span("root", "", 0, 10), span("early", "root", 1, 4, depth=1), span("leaf", "early", 2, 3, depth=2),
            span("late", "root", 5, 9, depth=1), span("other", "", 9, 10), span("below", "other", 9, 10, depth=1),
        ]
    )  # fmt: skip
    assert [r.children for r in rows] == [2, 1, 0, 0, 1, 0]
    assert (rows[1].left, rows[1].width) == (0.1, 0.3)


def test_a_lost_parent_makes_a_top_that_says_so() -> None:
    rows = waterfall([span("a", "", 0, 1), span("b", "gone", 2, 3), span("c", "b", 2, 3, depth=1)])
    assert [r.orphan for r in rows] == [False, True, False]


def test_no_span_is_lost() -> None:
    cycle = [span("a", "b", 0, 1), span("b", "a", 0, 1, depth=1)]
    assert [(r.span.id, r.children, r.orphan) for r in waterfall(cycle)] == [("a", 1, False), ("b", 0, False)]
    twins = [span("x", "", 0, 3, "client"), span("x", "", 1, 2, "server", depth=1)]
    assert [(r.span.service, r.children) for r in waterfall(twins)] == [("client", 1), ("server", 0)]


def test_spans_are_read_as_the_api_writes_them() -> None:
    sent = {
        "spanId": "x", "parentSpanId": None, "name": "op", "service": "a", "startNs": 5, "durationNs": 3, "selfNs": 2,
        "skewNs": 10, "depth": 1, "kind": "unspecified", "status": {"code": "error", "message": "no"},
    }  # fmt: skip
    (found,) = spans_of({"spans": [sent]})
    assert (found.start_ns, found.end_ns, found.self_ns, found.depth) == (15, 18, 2, 1)
    assert (found.parent, found.kind, found.failed, found.status_message) == ("", "", True, "no")


def test_services_by_their_own_time() -> None:
    spans = [span("r", "", 0, 10, "web", self_ns=2 * S), span("c", "r", 1, 9, "db", depth=1, self_ns=8 * S)]
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
