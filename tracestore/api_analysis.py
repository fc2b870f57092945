"""Our own API of analyses, under /api/traces: every one takes the parameters of a search, TraceQL (`q`) included."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from obs.errors import NotFound, UserError
from obs.tracestore import limits
from obs.tracestore.analysis.chosen import spans_of, time_range, traces_of, whole_traces
from obs.tracestore.analysis.critical_path import path_of_many, path_of_one
from obs.tracestore.analysis.differences import Compared, InSet, compare_sets
from obs.tracestore.analysis.flame import folded, merged_stacks
from obs.tracestore.analysis.latency import heat_map, scatter
from obs.tracestore.analysis.related import related
from obs.tracestore.analysis.two_traces import compared
from obs.tracestore.answering import Given, Params, json_answer, no_trace, route_class
from obs.tracestore.api_own import error, read_query
from obs.tracestore.evaluate import evaluate
from obs.tracestore.expressions import Expr, fields_of
from obs.tracestore.ids import parse_trace_id
from obs.tracestore.names import ERROR
from obs.tracestore.opened import Snapshot
from obs.tracestore.query import TraceQuery
from obs.tracestore.sources import MemorySource
from obs.tracestore.spanview import span_views
from obs.tracestore.store import TraceStore
from obs.tracestore.traceql import Plan, plan


def router(store: TraceStore) -> APIRouter:
    """Routes that come before `/api/traces/{trace_id}`."""
    api = APIRouter(prefix="/api/traces", route_class=route_class(error), tags=["traces"])

    @api.get("/critical-path", response_class=Response)
    def critical_path(given: Given) -> Response:
        """Where the time of the found traces goes, by service and operation; of the slowest beside all of them."""
        quantile = _ratio(given, "quantile", 0.99)
        query = _many(given, "longest")
        source = store.ask(lambda s: traces_of(s.sources, s.split_keys(), query))
        return json_answer(path_of_many(_found(source), quantile))

    @api.get("/flame", response_class=Response)
    def flame(given: Given) -> Response:
        """The found traces merged by their stacks, with self times; `format=folded` as lines."""
        query = _many(given, "newest")
        source = store.ask(lambda s: traces_of(s.sources, s.split_keys(), query))
        nodes = merged_stacks(_found(source))
        if given.text("format") == "folded":
            return PlainTextResponse("".join(f"{line}\n" for line in folded(nodes)))
        shown = [
            {"parent": n.parent, "service": n.service, "name": n.name, "spans": n.spans, "selfNs": n.self_ns,
             "totalNs": n.total_ns} for n in nodes
        ]  # fmt: skip
        return json_answer({"traces": len(_found(source).traces), "nodes": shown})

    @api.get("/compare", response_class=Response)
    def compare(given: Given) -> Response:
        """Traces `a` and `b` span by span."""
        a, b = (_one(store, given.text(name), name) for name in ("a", "b"))
        return json_answer(compared(a, b))

    @api.get("/differences", response_class=Response)
    def differences(given: Given) -> Response:
        """Which values are over-represented among the `slow`, `failed` or `among` (TraceQL) of the selected spans."""
        query, rate = read_query(given), _ratio(given, "fdr", 0.05)
        asked = _Asked.of(given)
        return json_answer(_differences_json(store.ask(lambda s: _differences(s, query, asked, rate))))

    @api.get("/heatmap", response_class=Response)
    def heatmap(given: Given) -> Response:
        """Spans by time and duration."""
        query = read_query(given)
        columns = max(min(given.whole("columns", 60), limits.MAX_HEAT_COLUMNS), 1)

        def ask(s: Snapshot) -> dict[str, Any]:
            return heat_map(spans_of(s.sources, s.split_keys(), query), time_range(s.sources, query), columns)

        return json_answer(store.ask(ask))

    @api.get("/scatter", response_class=Response)
    def points(given: Given) -> Response:
        """A point for each found trace."""
        return json_answer({"traces": scatter(store.search(_many(given, "newest")).traces)})

    @api.get("/{trace_id}/critical-path", response_class=Response)
    def path(trace_id: str) -> Response:
        """The spans that one trace waited for."""
        return json_answer(path_of_one(_one(store, trace_id, "trace id")))

    @api.get("/{trace_id}/related", response_class=Response)
    def links(trace_id: str) -> Response:
        """Queries for its logs and for its containers' metrics."""
        found = store.by_id(parse_trace_id(trace_id))
        if found is None:
            raise no_trace(trace_id)
        start, length = found.summary.start_ns, found.summary.duration_ns
        spans = span_views(found.table.slice(0, limits.SPANS_PER_PAGE))
        return json_answer(related(found.trace_id.hex(), spans, start, start + length))

    return api


def _many(given: Params, order: str) -> TraceQuery:
    """The search whose traces are analysed: a thousand of them, where no limit says otherwise."""
    named = {name: list(values) for name, values in given.values.items()}
    named.setdefault("order", [order])
    named.setdefault("limit", [str(limits.TRACES_ANALYSED)])
    return read_query(Params(named))


def _ratio(given: Params, name: str, default: float) -> float:
    text = given.text(name)
    try:
        found = default if text is None else float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise UserError(f"cannot read {name} {str(text)[:40]!r}: it is not a number from 0 to 1")
    return found


def _found(source: MemorySource | None) -> MemorySource:
    if source is None:
        raise NotFound("cannot analyse traces: the search finds none; widen its range or its conditions")
    return source


def _one(store: TraceStore, text: str | None, name: str) -> MemorySource:
    if text is None:
        raise UserError(f"cannot compare traces: {name} names none; give two as a and b")
    trace_id = parse_trace_id(text)
    source = store.ask(lambda s: whole_traces(s.sources, [trace_id]))
    if source is None:
        raise no_trace(text)
    return source


@dataclass(frozen=True, slots=True)
class _Asked:
    """The set asked about: what `among` selects, what failed, or what took `slow` (None: the slowest twentieth)."""

    among: Plan | None
    failed: bool
    slow: int | None

    @classmethod
    def of(cls, given: Params) -> _Asked:
        """Raises: UserError, QueryError."""
        among = given.text("among")
        return cls(None if among is None else plan(among), given.flag("failed"), given.duration("slow", 1))

    @property
    def where(self) -> Expr | None:
        """The condition of `among`. Raises: QueryError where it is a metric."""
        return None if self.among is None else self.among.asked(TraceQuery()).where

    def in_set(self, s: Snapshot, query: TraceQuery) -> InSet:
        """The set, of the spans that the query selects."""
        expr = self.where
        if self.among is not None:
            return lambda rows, hits: np.ones(len(hits), bool) if expr is None else evaluate(expr, rows)[hits]
        if self.failed:
            return lambda rows, hits: rows.numbers("status_code")[hits] == ERROR
        bound = _slow_from(s, query) if self.slow is None else self.slow
        return lambda rows, hits: (rows.numbers("end_ns") - rows.numbers("start_ns"))[hits] >= bound


def _differences(s: Snapshot, query: TraceQuery, asked: _Asked, rate: float) -> Compared:
    places = spans_of(s.sources, s.split_keys(), query, fields_of(asked.where), attributes=True)
    return compare_sets(places, asked.in_set(s, query), rate)


def _slow_from(s: Snapshot, query: TraceQuery) -> int:
    """The duration that a twentieth of the selected spans reach."""
    parts = [
        p.rows.numbers("end_ns")[p.hits] - p.rows.numbers("start_ns")[p.hits]
        for p in spans_of(s.sources, s.split_keys(), query)
    ]
    return int(np.quantile(np.concatenate(parts), 0.95, method="higher")) if parts else 0


def _differences_json(found: Compared) -> dict[str, Any]:
    shown = [
        {
            "attribute": d.attribute, "value": d.value, "inside": d.inside, "outside": d.outside,
            "insideShare": d.inside_share, "outsideShare": d.outside_share, "p": d.p, "q": d.q,
        }
        for d in found.differences
    ]  # fmt: skip
    return {**asdict(replace(found, differences=[])), "differences": shown}
