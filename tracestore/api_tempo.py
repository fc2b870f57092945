"""Tempo's query API: traces by id as OTLP, search by tags and by TraceQL, tag names and values. Times are seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from obs.tracestore import limits, tempo_shape
from obs.tracestore.answering import Given, Params, in_pieces, json_answer, no_trace, route_class, undecided, warned
from obs.tracestore.api_tempo_metrics import add_metrics
from obs.tracestore.api_tempo_tags import add_tags
from obs.tracestore.expressions import Compare, Expr, Intrinsic, all_of
from obs.tracestore.ids import parse_trace_id
from obs.tracestore.query import TraceQuery, tag_condition
from obs.tracestore.reading import Trace
from obs.tracestore.store import TraceStore
from obs.tracestore.traceql import Plan, plan
from obs.tracestore.traceql.stages.filter import Filter
from obs.tracestore.traceql.stages.pipeline import Pipeline
from obs.version import __version__

S = 10**9
PROTOBUF = "application/protobuf"


def _error(status: int, message: str) -> Response:
    return PlainTextResponse(message, status)


def router(store: TraceStore) -> APIRouter:
    """Routes under /tempo/api."""
    api = APIRouter(prefix="/tempo/api", route_class=route_class(_error), tags=["tempo"])
    _add_traces(api, store)
    _add_search(api, store)
    add_tags(api, store)
    add_metrics(api, store)
    _add_status(api)
    return api


def _wants_protobuf(request: Request) -> bool:
    return PROTOBUF in request.headers.get("accept", "")


def _add_traces(api: APIRouter, store: TraceStore) -> None:
    def read(trace_id: str) -> Trace:
        found = store.by_id(parse_trace_id(trace_id))
        if found is None:
            raise no_trace(trace_id)
        return found

    @api.get("/traces/{trace_id}", response_class=Response)
    def trace(trace_id: str, request: Request) -> Response:
        """One trace as OTLP."""
        found = read(trace_id)
        if _wants_protobuf(request):
            return in_pieces(tempo_shape.trace_protobuf(found), found.summary.spans, PROTOBUF)
        return in_pieces(tempo_shape.trace_v1(found), found.summary.spans)

    @api.get("/v2/traces/{trace_id}", response_class=Response)
    def trace_v2(trace_id: str, request: Request) -> Response:
        """One trace as OTLP in an envelope."""
        found = read(trace_id)
        if _wants_protobuf(request):
            return in_pieces(tempo_shape.trace_v2_protobuf(found), found.summary.spans, PROTOBUF)
        return in_pieces(tempo_shape.trace_v2(found), found.summary.spans)


def _add_search(api: APIRouter, store: TraceStore) -> None:
    @api.get("/search", response_class=Response)
    def search(given: Given) -> Response:
        """Traces by TraceQL (`q`) or by tags, with the spans that matched."""
        asked, query = _query(given)
        found = store.search(query)
        shown = min(given.whole("spss", limits.SPANS_PER_SPANSET), limits.MAX_SPANS_PER_SPANSET)
        sets = store.spansets(asked, [t.trace_id for t in found.traces], query, shown)
        traces = [tempo_shape.search_hit(t, sets.get(t.trace_id, ()), shown) for t in found.traces]
        after = {"next": found.next} if found.next else {}  # our own: where the page after this one begins
        waits = undecided(store)
        answer = {"traces": traces, "metrics": tempo_shape.metrics(found.stats), **after, **tempo_shape.partial(waits)}
        return warned(json_answer(answer), waits)


def _query(given: Params) -> tuple[Plan, TraceQuery]:
    """What is asked for, by TraceQL or by tags; its spansets and its traces."""
    start_ns, end_ns = given.span(S)
    found = TraceQuery(start_ns=start_ns, end_ns=end_ns, limit=given.limit(), after=given.text("next"))
    text = given.text("q")
    conditions: list[Expr | None] = [_tag(k, v) for k, v in given.tags().items()]
    shortest, longest = given.duration("minDuration"), given.duration("maxDuration")
    if shortest is not None:
        conditions.append(Compare(Intrinsic("traceDuration"), ">=", shortest))
    if longest is not None:
        conditions.append(Compare(Intrinsic("traceDuration"), "<=", longest))
    asked = Plan(Pipeline((Filter(all_of(conditions)),))) if text is None else plan(text)
    found = asked.asked(found)
    return asked, found if text is None else replace(found, where=all_of([found.where, *conditions]))


def _tag(key: str, value: str) -> Expr:
    """A tag of the search without TraceQL. Source: Tempo, "Search", tags: name, root.name, status.code …"""
    fixed = {"name": "name", "root.name": "rootName", "root.service.name": "rootServiceName"}.get(key)
    if fixed is not None:
        return Compare(Intrinsic(fixed), "=", value)
    return tag_condition("otel.status_code" if key == "status.code" else key, value)


def _add_status(api: APIRouter) -> None:
    @api.get("/echo", response_class=Response)
    def echo() -> Response:
        """What a data source tests its connection with."""
        return PlainTextResponse("echo")

    @api.get("/status/buildinfo", response_class=Response)
    def buildinfo() -> Response:
        """The version. Grafana chooses by it which calls it makes: those of Tempo 2."""
        build: dict[str, Any] = {"version": "2.8.0", "revision": f"obs-{__version__}", "branch": "", "buildUser": "",
                                 "buildDate": "", "goVersion": ""}  # fmt: skip
        return json_answer(build)
