"""Jaeger's query API, v1: what its UI and Grafana's Jaeger data source ask. Times are microseconds."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from obs.errors import UserError
from obs.tracestore.answering import Given, Params, json_answer, no_trace, route_class
from obs.tracestore.durations import duration_ns
from obs.tracestore.ids import parse_trace_id
from obs.tracestore.jaeger_shape import trace_json
from obs.tracestore.names import KINDS
from obs.tracestore.query import TraceQuery
from obs.tracestore.reading import Trace
from obs.tracestore.spanview import span_views
from obs.tracestore.store import TraceStore

MS, US = 10**6, 10**3
DEFAULT_LIMIT = "100"
"""Jaeger's own default; its UI sends 20."""


def _error(status: int, message: str) -> Response:
    body = {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": [{"code": status, "msg": message}]}
    return json_answer(body, status)


def _data(data: list[Any]) -> Response:
    return json_answer({"data": data, "total": len(data), "limit": 0, "offset": 0, "errors": None})


def router(store: TraceStore) -> APIRouter:
    """Routes under /jaeger/api."""
    api = APIRouter(prefix="/jaeger/api", route_class=route_class(_error), tags=["jaeger"])
    _add_names(api, store)
    _add_traces(api, store)
    _add_graph(api, store)
    return api


def _add_names(api: APIRouter, store: TraceStore) -> None:
    @api.get("/services", response_class=Response)
    def services() -> Response:
        """Names of services."""
        return _data(store.services())

    @api.get("/services/{service}/operations", response_class=Response)
    def service_operations(service: str) -> Response:
        """Names of a service's operations."""
        return _data(sorted(store.operations().get(service, {})))

    @api.get("/operations", response_class=Response)
    def operations(given: Given) -> Response:
        """A service's operations by span kind."""
        service, kind = given.text("service"), given.text("spanKind")
        if service is None:
            raise UserError("cannot list operations: parameter 'service' is required")
        found = store.operations().get(service, {})
        pairs = [(name, KINDS[k] if k < len(KINDS) else "") for name, kinds in sorted(found.items()) for k in kinds]
        return _data([{"name": n, "spanKind": k} for n, k in pairs if kind is None or kind == k])


def _add_traces(api: APIRouter, store: TraceStore) -> None:
    @api.get("/traces", response_class=Response)
    def traces(given: Given) -> Response:
        """Traces by service, operation, tags, duration and time; or several by id."""
        wanted = [parse_trace_id(text) for text in given.all("traceID")]
        found = wanted or [t.trace_id for t in store.search(_query(given)).traces]
        return _data([_trace(t) for t in store.by_ids(found)])

    @api.get("/traces/{trace_id}", response_class=Response)
    def trace(trace_id: str) -> Response:
        """One trace."""
        found = store.by_id(parse_trace_id(trace_id))
        if found is None:
            raise no_trace(trace_id)
        return _data([_trace(found)])


def _query(given: Params) -> TraceQuery:
    start_ns, end_ns = given.span(US)
    lookback = given.text("lookback")
    if lookback not in (None, "custom") and given.text("start") is None and given.text("end") is not None:
        start_ns = end_ns - duration_ns(lookback or "")
    return TraceQuery(
        service=given.text("service"), operation=given.text("operation"), tags=given.tags(),
        min_duration_ns=given.duration("minDuration"), max_duration_ns=given.duration("maxDuration"),
        start_ns=start_ns, end_ns=end_ns, limit=given.limit() if given.text("limit") else int(DEFAULT_LIMIT),
    )  # fmt: skip


def _trace(trace: Trace) -> dict[str, Any]:
    return trace_json(span_views(trace.table))


def _add_graph(api: APIRouter, store: TraceStore) -> None:
    @api.get("/dependencies", response_class=Response)
    def dependencies(given: Given) -> Response:
        """Calls between services in the `lookback` ms before `endTs`."""
        end_ms = given.whole("endTs", store.clock.now_ns() // MS)
        start_ms = end_ms - given.whole("lookback", 86_400_000)
        query = TraceQuery(start_ns=max(start_ms * MS, -(2**63)), end_ns=min(end_ms * MS + MS - 1, 2**63 - 1))
        edges = store.dependencies(query)
        return _data([{"parent": e.parent, "child": e.child, "callCount": e.calls} for e in edges])
