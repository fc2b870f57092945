"""`/api/sql?q=`: JSON `{columns, rows}`, CSV or an Arrow stream, by Accept; errors as `{error}`."""

from __future__ import annotations

import math
from urllib.parse import parse_qsl

import orjson
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from obs.errors import ObsError, Unavailable
from obs.sql import answers
from obs.sql.engine import SqlEngine

JSON = "application/json"
FORMS = (
    ("application/vnd.apache.arrow.stream", answers.to_arrow),
    ("text/csv", answers.to_csv),
    (JSON, answers.to_json),
)


def router(engine: SqlEngine) -> APIRouter:
    """GET with `q`, or POST with `q` in a form or the SQL as the body."""
    api = APIRouter()

    @api.get("/api/sql")
    def get_sql(request: Request, q: str = "") -> Response:
        return _answer(engine, q, request.headers.get("accept", ""))

    @api.post("/api/sql")
    async def post_sql(request: Request) -> Response:
        q = (await request.body()).decode(errors="replace")
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            q = dict(parse_qsl(q)).get("q", "")
        return await run_in_threadpool(_answer, engine, q, request.headers.get("accept", ""))

    return api


def _answer(engine: SqlEngine, q: str, accept: str) -> Response:
    try:
        media, write = next((pair for pair in FORMS if pair[0] in accept), FORMS[-1])
        return Response(engine.answer(q, write), media_type=media)
    except ObsError as e:
        later = {"Retry-After": str(math.ceil(e.retry_after_s))} if isinstance(e, Unavailable) else {}
        return Response(orjson.dumps({"error": str(e)}), getattr(e, "http_status", 500), later, JSON)
