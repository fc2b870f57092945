"""Our own trace API, which the UI and the command line use: search in any order with paging, one trace in full."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from obs.errors import UserError
from obs.tracestore import limits
from obs.tracestore.analysis.chosen import time_range
from obs.tracestore.analysis.service_graph import edge_figures
from obs.tracestore.answering import Given, Params, json_answer, no_trace, route_class, undecided
from obs.tracestore.detail import detail, linked_from
from obs.tracestore.ids import parse_trace_id
from obs.tracestore.query import Order, TraceQuery, TraceSummary
from obs.tracestore.store import TraceStore
from obs.tracestore.traceql import plan

ORDERS: dict[str, tuple[Order, bool]] = {
    "start": ("start", True), "newest": ("start", True), "oldest": ("start", False),
    "duration": ("duration", True), "longest": ("duration", True), "shortest": ("duration", False),
    "spans": ("spans", True), "errors": ("errors", True),
}  # fmt: skip
"""The orders by name, with whether they go down."""


def error(status: int, message: str) -> Response:
    """An error in our own shape."""
    kind = "not_found" if status == 404 else "bad_data" if status < 500 else "unavailable"
    return json_answer({"status": "error", "errorType": kind, "error": message}, status)


def router(store: TraceStore) -> APIRouter:
    """Routes under /api/traces."""
    api = APIRouter(prefix="/api/traces", route_class=route_class(error), tags=["traces"])

    @api.get("/search", response_class=Response)
    def search(given: Given) -> Response:
        """Summaries of the traces that match, in the order asked for over the whole range."""
        found = store.search(read_query(given))
        shown = [summary_json(t) for t in found.traces]
        return json_answer(
            {"traces": shown, "stats": found.stats.as_dict(), "next": found.next, "warnings": undecided(store)}
        )

    @api.get("/graph", response_class=Response)
    def graph(given: Given) -> Response:
        """Calls between services by the spans that match: how many a second, share of errors, latency percentiles."""
        query = read_query(given)
        range_ns = store.ask(lambda s: time_range(s.sources, query))
        return json_answer({"edges": edge_figures(store.dependencies(query), range_ns)})

    @api.get("/explain", response_class=Response)
    def explain(given: Given) -> Response:
        """What a TraceQL query is planned into, a line each."""
        asked = plan(given.text("q") or "{ }")
        return json_answer({"query": str(asked), "plan": list(asked.explain())})

    @api.get("/tags", response_class=Response)
    def tags() -> Response:
        """Keys of attributes by scope."""
        return json_answer({"tags": store.tag_names()})

    @api.get("/{trace_id}", response_class=Response)
    def trace(trace_id: str, given: Given) -> Response:
        """One trace in full: spans in the order of the tree, in pages where it is very large."""
        found = store.by_id(parse_trace_id(trace_id))
        if found is None:
            raise no_trace(trace_id)
        page = min(given.whole("limit", limits.SPANS_PER_PAGE), limits.SPANS_PER_PAGE)
        if not page:
            raise UserError("cannot show 0 spans of a trace: no page would be the last one; give a limit above zero")
        shown = detail(found, given.whole("offset", 0), page)
        return json_answer(shown | linked_from(store.links_to(found.trace_id)))

    return api


def read_query(given: Params) -> TraceQuery:
    """All fields of a TraceQuery from parameters; times in ns, durations like 250ms. Raises: UserError, QueryError."""
    start_ns, end_ns = given.span(1)
    name = given.text("order") or "start"
    if name not in ORDERS:
        raise UserError(f"cannot order by {name[:40]!r}: known are {', '.join(ORDERS)}")
    order, descending = ORDERS[name]
    text = given.text("q")
    found = TraceQuery(
        service=given.text("service"), operation=given.text("operation"), tags=given.tags(),
        min_duration_ns=given.duration("minDuration", 1), max_duration_ns=given.duration("maxDuration", 1),
        start_ns=start_ns, end_ns=end_ns, status=given.text("status"), limit=given.limit(), order=order,
        descending=descending, after=given.text("next"),
    )  # fmt: skip
    return found if text is None else plan(text).asked(found)


def summary_json(trace: TraceSummary) -> dict[str, Any]:
    """One trace of a search's answer."""
    return {
        "traceId": trace.trace_id.hex(), "rootService": trace.root_service, "rootName": trace.root_name,
        "startNs": trace.start_ns, "durationNs": trace.duration_ns, "spans": trace.spans, "errors": trace.errors,
        "services": list(trace.services),
    }  # fmt: skip
