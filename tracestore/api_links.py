"""Links of a trace, both ways, over our own API."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from obs.errors import UserError
from obs.tracestore import limits
from obs.tracestore.answering import Given, json_answer, no_trace, route_class
from obs.tracestore.api_own import error, summary_json
from obs.tracestore.detail import links_json
from obs.tracestore.ids import parse_trace_id
from obs.tracestore.store import TraceStore


def router(store: TraceStore) -> APIRouter:
    """Routes under /api/traces."""
    api = APIRouter(prefix="/api/traces", route_class=route_class(error), tags=["traces"])

    @api.get("/{trace_id}/links", response_class=Response)
    def links(trace_id: str, given: Given) -> Response:
        """What the trace links to and what links to it, `hops` times on from there."""
        hops = given.whole("hops", 1)
        if not 1 <= hops <= limits.MAX_HOPS:
            raise UserError(f"cannot follow links over {hops} hops: give 1 to {limits.MAX_HOPS}")
        wanted = parse_trace_id(trace_id)
        found = store.links(wanted, hops)
        if not found.links and found.traces[wanted] is None:
            raise no_trace(trace_id)
        traces = [
            {"traceId": i.hex(), "stored": False} if t is None else {**summary_json(t), "stored": True}
            for i, t in found.traces.items()
        ]
        return json_answer(
            {
                "traceId": wanted.hex(), "links": links_json(found.links), "traces": traces,
                "truncated": found.truncated,
            }
        )  # fmt: skip

    return api
