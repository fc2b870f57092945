"""From the whole query down to the parts that gave nothing although all they are made of gave something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from obs.model.ports import SeriesSet
from obs.model.stale import STALE_BITS
from obs.tsdb.promql import PromQL, Result
from obs.tsdb.promql.lexer import line_column
from obs.tsdb.promql.parse import parse
from obs.tsdb.promql.plan import (
    Aggregate,
    At,
    AtEdge,
    Binary,
    Call,
    Kind,
    Node,
    RangeSelector,
    Selector,
    Subquery,
    unwrap,
)  # fmt: skip
from obs.tsdb.promql.printer import text
from obs.tsdb.store import MetricStore
from obs.tsdb.why import calls, pairs, selectors, times
from obs.tsdb.why.reasons import Reason

SUBQUERY_POINTS = 500
"""Points at which the inside of a subquery is looked at."""

WIDER = 10
"""Windows before the first one in which the distance of samples is looked for."""


@dataclass(frozen=True, slots=True)
class When:
    """A query's times; of an instant query start = end and step 0."""

    start_ms: int
    end_ms: int
    step_ms: int
    lookback_ms: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: where to look, and when."""

    store: MetricStore
    promql: PromQL
    query: str
    when: When

    def result(self, node: Node) -> Result:
        """The value of a part, as a query of its own."""
        when = self.when
        if when.step_ms:
            return self.promql.query_range(text(node), when.start_ms, when.end_ms, when.step_ms, when.lookback_ms)
        return self.promql.query(text(node), when.start_ms, when.lookback_ms)

    def reason(self, node: Node, why: str) -> Reason:
        """A reason at the node's place."""
        return Reason(*line_column(self.query, node.pos), text(node), why)


def why_empty(store: MetricStore, promql: PromQL, query: str, when: When) -> list[Reason]:
    """The reasons, each once; none where the query gives something. Raises: QueryError, QueryLimit."""
    asked = Asked(store, promql, query, when)
    return list(dict.fromkeys(_reasons(asked, parse(query, when.step_ms, when.end_ms - when.start_ms))))


def _reasons(asked: Asked, node: Node) -> Iterator[Reason]:
    node = unwrap(node)
    if not _is_empty(asked, node):
        return
    if isinstance(node, Selector):
        yield asked.reason(node, _no_selection(asked, node, asked.when.lookback_ms))
    elif isinstance(node, RangeSelector):
        yield asked.reason(node, _no_selection(asked, node.selector, node.range_ms))
    elif isinstance(node, Subquery):
        yield from _reasons(_inside(asked, node), node.expr)
    else:
        below = [reason for child in node.children for reason in _reasons(asked, child)]
        yield from below or [asked.reason(node, _own(asked, node))]


def _own(asked: Asked, node: Node) -> str:
    """Why a node gave nothing although its children gave something."""
    if isinstance(node, Binary):
        return pairs.no_pairs(node, asked.result(node.left), asked.result(node.right))
    if isinstance(node, Call):
        windows = [unwrap(arg) for arg in node.args if isinstance(unwrap(arg), RangeSelector)]
        for window in windows:
            assert isinstance(window, RangeSelector)
            short = calls.too_few(node, window, _selected(asked, window.selector, WIDER * window.range_ms))
            if short:
                return short
        vectors = [arg for arg in node.args if arg.kind is Kind.VECTOR]
        return calls.gave_nothing(node, asked.result(vectors[0]) if vectors else None)
    if isinstance(node, Aggregate):
        return f"{node.op} keeps none of the series that it is given"
    return "it gives nothing for what it is given"


def _is_empty(asked: Asked, node: Node) -> bool:
    if isinstance(node, RangeSelector):
        found = _selected(asked, node.selector, node.range_ms)
        return bool((found.values.view(np.int64) == STALE_BITS).all())
    if isinstance(node, Subquery):
        return _is_empty(_inside(asked, node), unwrap(node.expr))
    return node.kind is Kind.VECTOR and not bool(asked.result(node).present.any())


def _inside(asked: Asked, node: Subquery) -> Asked:
    """The same question, for the inside of a subquery."""
    first, last = _looks(asked.when, node.offset_ms, node.at)
    step = max(node.step_ms or 60_000, node.range_ms // SUBQUERY_POINTS, 1)
    when = When(first - node.range_ms, last, step, asked.when.lookback_ms)
    return Asked(asked.store, asked.promql, asked.query, when)


def _looks(when: When, offset_ms: int, at: At) -> tuple[int, int]:
    """The first and the last moment that a selector looks back from."""
    if isinstance(at, AtEdge):
        at = when.start_ms if at is AtEdge.START else when.end_ms
    first, last = (when.start_ms, when.end_ms) if at is None else (at, at)
    return first - offset_ms, last - offset_ms


def _selected(asked: Asked, node: Selector, before_ms: int) -> SeriesSet:
    first, last = _looks(asked.when, node.offset_ms, node.at)
    return asked.store.select(node.matchers, first - before_ms + 1, last)


def _no_selection(asked: Asked, node: Selector, before_ms: int) -> str:
    missing = selectors.no_series(asked.store.index, node.matchers)
    first, last = _looks(asked.when, node.offset_ms, node.at)
    return missing or times.no_samples(asked.store, node.matchers, first - before_ms + 1, last)
