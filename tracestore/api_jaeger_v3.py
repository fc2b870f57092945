"""Jaeger's query API, v3: OTLP out, RFC 3339 times in. Names of parameters are camelCase or snake_case.

Source: Jaeger, apiv3/http_gateway and query_parser; jaeger-idl, api_v3/query_service.proto.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from obs.errors import UserError
from obs.tracestore import limits
from obs.tracestore.answering import Given, Params, in_pieces, json_answer, parse_tags, route_class, undecided, warned
from obs.tracestore.durations import duration_ns, time_ns
from obs.tracestore.ids import parse_trace_id
from obs.tracestore.jaeger_shape import operation_kinds
from obs.tracestore.otlp_json import resource_spans_pieces
from obs.tracestore.query import MAX_NS, TraceQuery, TraceSummary
from obs.tracestore.reading import Trace
from obs.tracestore.servicecounts import TraceCounts
from obs.tracestore.store import TraceStore

DEFAULT_DEPTH = 100
"""Traces of a search that names no depth; Jaeger's."""

NOT_FOUND = "No traces found"
_BOUNDARY = re.compile(r"(?<=[a-z])([A-Z])")


def _error(status: int, message: str) -> Response:
    return json_answer({"error": {"httpCode": status, "message": message}}, status)


def router(store: TraceStore) -> APIRouter:
    """Routes under /jaeger/api/v3."""
    api = APIRouter(prefix="/jaeger/api/v3", route_class=route_class(_error), tags=["jaeger"])
    _add_names(api, store)
    _add_traces(api, store)
    _add_summaries(api, store)
    return api


def _add_names(api: APIRouter, store: TraceStore) -> None:
    @api.get("/services", response_class=Response)
    def services() -> Response:
        """Names of services."""
        return json_answer({"services": store.services()})

    @api.get("/operations", response_class=Response)
    def operations(given: Given) -> Response:
        """A service's operations by span kind; those of no kind are internal, as in Jaeger."""
        service, wanted = given.text("service"), _field(given, "spanKind")
        if service is None:
            raise UserError("parameter 'service' is required")
        found = operation_kinds(store, service, "internal")
        shown = [{"name": n, "spanKind": k} for n, k in found if wanted in (None, k)]
        return json_answer({"operations": shown})

    @api.get("/dependencies", response_class=Response)
    def dependencies(given: Given) -> Response:
        """Calls between services."""
        start_ns, end_ns = _times(given, "startTime", "endTime")
        edges = store.dependencies(TraceQuery(start_ns=start_ns, end_ns=end_ns))
        calls = [{"parent": e.parent, "child": e.child, "callCount": str(e.calls)} for e in edges]
        return json_answer({"dependencies": calls})


def _add_traces(api: APIRouter, store: TraceStore) -> None:
    @api.get("/traces", response_class=Response)
    def traces(given: Given) -> Response:
        """The traces of a search, together."""
        return _found(store, given)

    @api.post("/traces", response_class=Response)
    async def traces_posted(request: Request) -> Response:
        """The same with the query as JSON."""
        given = _posted(await request.body())
        return await run_in_threadpool(_found, store, given)

    @api.get("/traces/{trace_id}", response_class=Response)
    def trace(trace_id: str, given: Given) -> Response:
        """One trace; the times are only hints."""
        _times(given, "startTime", "endTime")
        found = store.by_id(parse_trace_id(trace_id))
        return _answer([] if found is None else [found], _raw(given, "rawTraces"))


def _found(store: TraceStore, given: Params) -> Response:
    raw = _raw(given, "query.rawTraces")
    found = store.by_ids(t.trace_id for t in store.search(read_query(given)).traces)
    return warned(_answer(found, raw), undecided(store))


def _raw(given: Params, name: str) -> bool:
    """Whether times are told as sent, rather than shifted where clocks disagree. Raises: UserError."""
    return Params({name: [_field(given, name) or ""]}).flag(name)


def _answer(traces: Sequence[Trace], raw: bool) -> Response:
    if not traces:
        return _error(404, NOT_FOUND)
    return in_pieces(_pieces(traces, raw), sum(t.summary.spans for t in traces))


def _pieces(traces: Iterable[Trace], raw: bool) -> Iterator[bytes]:
    yield b'{"result":{"resourceSpans":['
    yield from resource_spans_pieces(traces, raw)
    yield b"]}}"


def _add_summaries(api: APIRouter, store: TraceStore) -> None:
    @api.get("/trace-summaries", response_class=Response)
    def summaries(given: Given) -> Response:
        """One line a trace of a search: what Jaeger's list of results shows."""
        found = store.search(read_query(given)).traces
        counts = store.trace_counts([t.trace_id for t in found])
        lines = [_summary(t, counts[t.trace_id]) for t in found if t.trace_id in counts]
        return warned(json_answer({"summaries": lines}), undecided(store))


def _summary(trace: TraceSummary, counts: TraceCounts) -> dict[str, Any]:
    return {
        "traceId": trace.trace_id.hex(), "rootServiceName": trace.root_service, "rootOperationName": trace.root_name,
        "minStartTimeUnixNano": str(max(trace.start_ns, 0)),
        "maxEndTimeUnixNano": str(max(trace.start_ns + trace.duration_ns, 0)),
        "spanCount": trace.spans, "errorSpanCount": trace.errors, "orphanSpanCount": counts.orphans,
        "services": [{"name": s.service, "spanCount": s.spans, "errorSpanCount": s.errors} for s in counts.services],
    }  # fmt: skip


def _field(given: Params, name: str) -> str | None:
    """A parameter under its name in camelCase, or in snake_case."""
    return given.text(name) or given.text(_BOUNDARY.sub(lambda m: f"_{m[1].lower()}", name))


def _times(given: Params, start: str, end: str) -> tuple[int, int]:
    """A range in ns, all of time where not given. A `+` that was not escaped came as a blank. Raises: UserError."""
    texts = [text and text.replace(" ", "+") for text in (_field(given, start), _field(given, end))]
    found = (
        -MAX_NS if texts[0] is None else time_ns(start, texts[0], 1),
        MAX_NS if texts[1] is None else time_ns(end, texts[1], 1),
    )
    if found[0] > found[1]:
        raise UserError(f"cannot search from {texts[0]} to {texts[1]}: {end} is before {start}")
    return found


def _posted(body: bytes) -> Params:
    """`{"query": {…}}` as parameters. Raises: UserError."""
    try:
        query = orjson.loads(body)["query"]
        return Params({f"query.{k}": [_text(v)] for k, v in query.items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError('cannot read the search: its body is not like {"query": {"serviceName": "a"}}') from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _depth(given: Params) -> int:
    names = ("query.searchDepth", "query.search_depth", "query.num_traces", "query.numTraces")
    name = next((n for n in names if given.text(n)), names[0])
    return min(given.whole(name, DEFAULT_DEPTH) or DEFAULT_DEPTH, limits.MAX_LIMIT)


def _attributes(given: Params) -> Mapping[str, str]:
    text = given.text("query.attributes")
    return {} if text is None else parse_tags(text)


def read_query(given: Params) -> TraceQuery:
    """A search. Neither service nor times are required, unlike in Jaeger. Raises: UserError."""
    start_ns, end_ns = _times(given, "query.startTimeMin", "query.startTimeMax")
    shortest, longest = _field(given, "query.durationMin"), _field(given, "query.durationMax")
    return TraceQuery(
        service=_field(given, "query.serviceName"),
        operation=_field(given, "query.operationName") or _field(given, "query.spanName"),
        tags=_attributes(given), start_ns=start_ns, end_ns=end_ns, limit=_depth(given),
        min_duration_ns=None if shortest is None else duration_ns(shortest),
        max_duration_ns=None if longest is None else duration_ns(longest),
    )  # fmt: skip
