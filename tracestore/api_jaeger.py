"""Jaeger's query API, v1: what its UI and Grafana's Jaeger data source ask. Times are microseconds.

Source: Jaeger, cmd/jaeger/internal/extension/jaegerquery, http_handler and query_parser.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from obs import otlp
from obs.errors import ObsError, QueryLimit, UserError
from obs.model.batch import Signal
from obs.tracestore import limits
from obs.tracestore.answering import Given, Params, in_pieces, json_answer, route_class, undecided, warned
from obs.tracestore.durations import duration_ns
from obs.tracestore.filenames import SPANS
from obs.tracestore.ids import parse_trace_id
from obs.tracestore.jaeger_shape import NO_ARCHIVE, NOT_FOUND, operation_kinds, short_id, trace_pieces
from obs.tracestore.query import TraceQuery
from obs.tracestore.reading import Trace, traces_of
from obs.tracestore.store import TraceStore

MS, US = 10**6, 10**3
DEFAULT_LIMIT = 100
"""Jaeger's own default; its UI sends 20."""


class NoArchive(ObsError):
    """There is no archive."""

    http_status = 500


def error(status: int, message: str, **more: str) -> Response:
    return json_answer(envelope(None, [{"code": status, "msg": message, **more}]), status)


def envelope(data: Any, errors: Sequence[Mapping[str, Any]] | None = None, total: int = 0) -> dict[str, Any]:
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}


def _named(given: Params, data: list[Any]) -> Response:
    return answer(given, envelope(data, total=len(data)))


def answer(given: Params, value: Any) -> Response:
    """JSON, indented where `prettyPrint` asks for it."""
    if given.text("prettyPrint") in (None, "false"):
        return json_answer(value)
    return Response(json.dumps(value, indent=4, ensure_ascii=False), media_type="application/json")


def _traces(given: Params, traces: Sequence[Trace], errors: Sequence[Mapping[str, Any]] | None = None) -> Response:
    """Traces in full, in pieces where they are large; as they were sent where `raw` asks for that."""
    raw = given.flag("raw")
    if given.text("prettyPrint") not in (None, "false"):
        return answer(given, orjson.loads(b"".join(_pieces(traces, raw, errors))))
    return in_pieces(_pieces(traces, raw, errors), sum(t.summary.spans for t in traces))


def _pieces(traces: Iterable[Trace], raw: bool, errors: Sequence[Mapping[str, Any]] | None) -> Iterator[bytes]:
    yield b'{"data":['
    for i, trace in enumerate(traces):
        yield b"," if i else b""
        yield from trace_pieces(trace, raw)
    yield b'],"total":0,"limit":0,"offset":0,"errors":' + orjson.dumps(errors) + b"}"


def router(store: TraceStore) -> APIRouter:
    """Routes under /jaeger/api."""
    api = APIRouter(prefix="/jaeger/api", route_class=route_class(error), tags=["jaeger"])
    _add_names(api, store)
    _add_search(api, store)
    _add_trace(api, store)
    _add_transform(api)
    _add_graph(api, store)
    return api


def _add_names(api: APIRouter, store: TraceStore) -> None:
    @api.get("/services", response_class=Response)
    def services(given: Given) -> Response:
        """Names of services."""
        return _named(given, store.services())

    @api.get("/services/{service:path}/operations", response_class=Response)
    def service_operations(service: str, given: Given) -> Response:
        """Names of a service's operations."""
        return _named(given, sorted(store.operations().get(service, {})))

    @api.get("/operations", response_class=Response)
    def operations(given: Given) -> Response:
        """A service's operations by span kind."""
        service, kind = given.text("service"), given.text("spanKind")
        if service is None:
            raise UserError("parameter 'service' is required")
        pairs = operation_kinds(store, service, "")
        return _named(given, [{"name": n, "spanKind": k} for n, k in pairs if kind is None or kind == k])


def _add_search(api: APIRouter, store: TraceStore) -> None:
    @api.get("/traces", response_class=Response)
    def traces(given: Given) -> Response:
        """Traces by service, operation, tags, duration and time; or several by id."""
        wanted = list(dict.fromkeys(map(parse_trace_id, given.all("traceID"))))
        if not wanted:
            found = store.by_ids(t.trace_id for t in store.search(read_query(given)).traces)
            return warned(_traces(given, found), undecided(store))
        found = store.by_ids(wanted)
        absent = set(wanted) - {t.trace_id for t in found}
        missing = [{"msg": NOT_FOUND, "traceID": short_id(i.hex())} for i in wanted if i in absent]
        return _traces(given, found, missing or None)


def _add_trace(api: APIRouter, store: TraceStore) -> None:
    @api.get("/traces/{trace_id}", response_class=Response)
    def trace(trace_id: str, given: Given) -> Response:
        """One trace; `start` and `end` are only hints."""
        given.span(US)
        found = store.by_id(parse_trace_id(trace_id))
        if found is None:
            return error(404, NOT_FOUND, traceID=trace_id)
        return _traces(given, [found])

    @api.post("/archive/{trace_id}", response_class=Response)
    def archive(trace_id: str) -> Response:
        """There is no second storage to copy a trace to."""
        parse_trace_id(trace_id)
        raise NoArchive(NO_ARCHIVE)


def _add_transform(api: APIRouter) -> None:
    @api.post("/transform", response_class=Response)
    async def transform(request: Request, given: Given) -> Response:
        """OTLP/JSON in, the same spans in Jaeger's shape out; nothing is stored."""
        body = await request.body()
        return await run_in_threadpool(lambda: _traces(given, _decoded(body)))


def _decoded(body: bytes) -> list[Trace]:
    spans = otlp.decode_traces(otlp.json_to_protobuf(Signal.TRACES, body)).batch.tables.get(SPANS)
    found = [] if spans is None else traces_of(spans)
    if len(found) > limits.MAX_LIMIT:
        raise QueryLimit(f"cannot transform {len(found)} traces: the limit is {limits.MAX_LIMIT}; send fewer at once")
    return found


def read_query(given: Params) -> TraceQuery:
    """A search. Its `service` may be left out, which Jaeger's may not. Raises: UserError."""
    start_ns, end_ns = given.span(US)
    lookback = given.text("lookback")
    if lookback not in (None, "custom") and given.text("start") is None and given.text("end") is not None:
        start_ns = end_ns - duration_ns(lookback or "")
    shortest, longest = given.duration("minDuration"), given.duration("maxDuration")
    if shortest and longest and longest < shortest:
        raise UserError("'maxDuration' should be greater than 'minDuration'")
    return TraceQuery(
        service=given.text("service"), operation=given.text("operation"), tags=given.tags(),
        min_duration_ns=shortest, max_duration_ns=longest,
        start_ns=start_ns, end_ns=end_ns, limit=given.limit(DEFAULT_LIMIT),
    )  # fmt: skip


def _add_graph(api: APIRouter, store: TraceStore) -> None:
    @api.get("/dependencies", response_class=Response)
    def dependencies(given: Given) -> Response:
        """Calls between services in the `lookback` ms before `endTs`; those of one `service`, where it is given."""
        end_ms = given.whole("endTs", store.clock.now_ns() // MS)
        start_ms = end_ms - given.whole("lookback", 86_400_000)
        query = TraceQuery(start_ns=max(start_ms * MS, -(2**63)), end_ns=min(end_ms * MS + MS - 1, 2**63 - 1))
        service = given.text("service")
        edges = [e for e in store.dependencies(query) if service in (None, e.parent, e.child)]
        return answer(given, envelope([{"parent": e.parent, "child": e.child, "callCount": e.calls} for e in edges]))
