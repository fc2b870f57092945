"""Tempo's API of TraceQL metrics: over a range in steps, or one value for the whole range."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from obs.errors import QueryError, UserError
from obs.tracestore import limits, tempo_points
from obs.tracestore.answering import Given, Params, json_answer, undecided, warned
from obs.tracestore.durations import time_ns
from obs.tracestore.store import TraceStore
from obs.tracestore.tempo_shape import partial
from obs.tracestore.traceql import Plan, plan
from obs.tracestore.traceql.metrics.window import Window

S = 10**9
DEFAULT_RANGE_NS = 3600 * S
"""What is asked for where neither start nor since is given; Tempo's."""


def add_metrics(api: APIRouter, store: TraceStore) -> None:
    """The routes below /metrics."""

    @api.get("/metrics/query_range", response_class=Response)
    def query_range(given: Given) -> Response:
        """Series at the steps of a range."""
        asked = _plan(given)
        step = given.duration("step", S)
        if step is not None and step <= 0:
            raise UserError(f"cannot use step {given.text('step')!r}: it is not above zero")
        window = Window.over(*_range(given, store.clock.now_ns()), step)
        found = store.measure(asked, window, _exemplars(given, asked))
        return _answer(store, tempo_points.range_answer(found))

    @api.get("/metrics/query", response_class=Response)
    def query(given: Given) -> Response:
        """Series of one value."""
        asked = _plan(given)
        window = Window.whole(*_range(given, store.clock.now_ns()))
        return _answer(store, tempo_points.instant_answer(store.measure(asked, window)))


def _answer(store: TraceStore, found: dict[str, Any]) -> Response:
    waits = undecided(store)
    return warned(json_answer(found | partial(waits)), waits)


def _plan(given: Params) -> Plan:
    text = given.text("q") or given.text("query")
    if text is None:
        raise UserError("cannot measure without a query: give q, such as { status = error } | rate()")
    found = plan(text)
    if found.metric is None:
        raise QueryError(f"cannot measure {text[:80]!r}: it is no metric; add | rate(), or ask /tempo/api/search")
    return found


def _range(given: Params, now_ns: int) -> tuple[int, int]:
    """Start and end in ns. Raises: UserError."""
    end = _moment("end", given.text("end"), now_ns)
    start = _moment("start", given.text("start"), end - (given.duration("since") or DEFAULT_RANGE_NS))
    if start > end:
        raise UserError(
            f"cannot measure from {given.text('start')} to {given.text('end')}: the end is before the start"
        )
    return start, end


def _moment(name: str, text: str | None, default: int) -> int:
    """A time in seconds, in nanoseconds (by its size) or as RFC 3339."""
    if text is None:
        return default
    return time_ns(name, text, 1 if text.isdigit() and len(text) > 13 else S)


def _exemplars(given: Params, asked: Plan) -> int:
    """How many a series: by the hint `exemplars`, else by the parameter."""
    hint = asked.hints.get("exemplars")
    wanted = given.whole("exemplars", limits.DEFAULT_EXEMPLARS)
    if isinstance(hint, bool):
        wanted = wanted * hint
    elif isinstance(hint, int | float):
        wanted = int(min(hint, limits.MAX_EXEMPLARS))
    return max(0, min(wanted, limits.MAX_EXEMPLARS))
