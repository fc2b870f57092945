"""Zipkin's v2 read API. Times are milliseconds, durations microseconds. Taking spans in is the collector's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from obs.errors import UserError
from obs.tracestore import limits
from obs.tracestore.answering import Given, Params, in_pieces, json_answer, no_trace, route_class, undecided, warned
from obs.tracestore.expressions import Attribute, Compare, Expr, Field, Intrinsic, Or, all_of
from obs.tracestore.ids import parse_trace_id
from obs.tracestore.query import TraceQuery, tag_condition
from obs.tracestore.reading import Trace
from obs.tracestore.store import TraceStore
from obs.tracestore.zipkin_shape import trace_pieces, traces_pieces

MS, US = 10**6, 10**3
DEFAULT_LIMIT = 10
DEFAULT_LOOKBACK_MS = 86_400_000


def _error(status: int, message: str) -> Response:
    return PlainTextResponse(message, status)


def router(store: TraceStore) -> APIRouter:
    """Routes under /zipkin/api/v2."""
    api = APIRouter(prefix="/zipkin/api/v2", route_class=route_class(_error), tags=["zipkin"])
    _add_names(api, store)
    _add_traces(api, store)
    return api


def _add_names(api: APIRouter, store: TraceStore) -> None:
    @api.get("/services", response_class=Response)
    def services() -> Response:
        """Names of services."""
        return json_answer(sorted({s.lower() for s in store.services()}))

    @api.get("/spans", response_class=Response)
    def spans(given: Given) -> Response:
        """Names of a service's spans."""
        wanted = _needed(given, "serviceName").lower()
        found = {
            name.lower() for s, names in store.operations().items() if s.lower() == wanted for name in names if name
        }
        return json_answer(sorted(found))

    @api.get("/remoteServices", response_class=Response)
    def remote_services(given: Given) -> Response:
        """Names that a service's spans give to the other side of their calls."""
        wanted = given.text("serviceName")
        if wanted is None:
            return json_answer([])
        where = _service(wanted, store.operations())
        found = store.tag_values("span.peer.service", -(2**63), 2**63 - 1, where)
        return json_answer(sorted({value.lower() for _, value in found}))

    @api.get("/autocompleteKeys", response_class=Response)
    def keys() -> Response:
        """Tags offered for completion: all there are."""
        names = store.tag_names()
        return json_answer(sorted({*names["attr"], *names["resource"]}))

    @api.get("/autocompleteValues", response_class=Response)
    def values(given: Given) -> Response:
        """Values of a tag, of the last day."""
        now_ns = store.clock.now_ns()
        found = store.tag_values(f".{_needed(given, 'key')}", now_ns - DEFAULT_LOOKBACK_MS * MS, now_ns)
        return json_answer(sorted({value for _, value in found}))


def _needed(given: Params, name: str) -> str:
    found = given.text(name)
    if found is None:
        raise UserError(f"cannot answer without parameter {name!r}: it is missing")
    return found


def _add_traces(api: APIRouter, store: TraceStore) -> None:
    @api.get("/traces", response_class=Response)
    def traces(given: Given) -> Response:
        """Traces by service, span name, annotations, duration and time."""
        found = store.by_ids(t.trace_id for t in store.search(_query(store, given)).traces)
        return warned(_traces(found), undecided(store))

    @api.get("/trace/{trace_id}", response_class=Response)
    def trace(trace_id: str) -> Response:
        """One trace."""
        found = store.by_id(parse_trace_id(trace_id))
        if found is None:
            raise no_trace(trace_id)
        return in_pieces(trace_pieces(found), found.summary.spans)

    @api.get("/traceMany", response_class=Response)
    def trace_many(given: Given) -> Response:
        """Several traces by id; those not found are left out."""
        wanted = [parse_trace_id(t) for t in _needed(given, "traceIds").split(",") if t]
        return _traces(store.by_ids(dict.fromkeys(wanted)))

    @api.get("/dependencies", response_class=Response)
    def dependencies(given: Given) -> Response:
        """Calls between services."""
        _needed(given, "endTs")
        start_ns, end_ns = _range(store, given)
        edges = store.dependencies(TraceQuery(start_ns=start_ns, end_ns=end_ns))
        return json_answer(
            [{"parent": e.parent, "child": e.child, "callCount": e.calls, "errorCount": e.errors} for e in edges]
        )


def _traces(traces: Sequence[Trace]) -> Response:
    return in_pieces(traces_pieces(traces), sum(t.summary.spans for t in traces))


def _range(store: TraceStore, given: Params) -> tuple[int, int]:
    end_ms = given.whole("endTs", store.clock.now_ns() // MS)
    start_ms = end_ms - given.whole("lookback", DEFAULT_LOOKBACK_MS)
    return max(start_ms * MS, -(2**63)), min(end_ms * MS + MS - 1, 2**63 - 1)


def _query(store: TraceStore, given: Params) -> TraceQuery:
    start_ns, end_ns = _range(store, given)
    service, name = given.text("serviceName"), given.text("spanName")
    services = store.operations()
    least, most = given.duration("minDuration", US), given.duration("maxDuration", US)
    if least is not None and most is not None and most < least:
        raise UserError(f"cannot search for spans of {least // US} to {most // US} µs: maxDuration < minDuration")
    return TraceQuery(
        min_duration_ns=least, max_duration_ns=most,
        start_ns=start_ns, end_ns=end_ns, limit=min(given.whole("limit", DEFAULT_LIMIT), limits.MAX_LIMIT),
        where=all_of([_service(service, services), _name(name, services), *_annotations(given)]),
    )  # fmt: skip


def _service(wanted: str | None, services: Any) -> Expr | None:
    """Zipkin's names are lower case, ours are as sent."""
    if wanted is None or wanted == "all":
        return None
    return _any_case(Attribute("resource", "service.name"), wanted, services)


def _name(wanted: str | None, services: Any) -> Expr | None:
    if wanted is None or wanted == "all":
        return None
    return _any_case(Intrinsic("name"), wanted, (name for names in services.values() for name in names))


def _any_case(field: Field, wanted: str, known: Iterable[str]) -> Expr:
    """A field that equals a name, however its letters are written."""
    exact = {name for name in known if name.lower() == wanted.lower()} or {wanted}
    found = [Compare(field, "=", name) for name in sorted(exact)]
    return found[0] if len(found) == 1 else Or(tuple(found))


def _annotations(given: Params) -> list[Expr]:
    """`error and http.method=GET`: a key alone asks for its presence."""
    found: list[Expr] = []
    for part in (given.text("annotationQuery") or "").split(" and "):
        key, equals, value = part.strip().partition("=")
        if equals:
            found.append(tag_condition(key, value))
        elif key == "error":
            found.append(tag_condition("error", "true"))
        elif key:
            found.append(Compare(Attribute(None, key), "!=", None))
    return found
