"""`/api/sql?q=`: JSON `{columns, rows}`, CSV or an Arrow stream, by Accept; errors as `{error}`."""

from __future__ import annotations

import math

import orjson
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from obs.errors import ObsError, Unavailable
from obs.sql import answers
from obs.sql.engine import SqlEngine

ARROW = "application/vnd.apache.arrow.stream"
CSV = "text/csv"
JSON = "application/json"


def router(engine: SqlEngine) -> APIRouter:
    """GET with `q`, or POST with `q` in a form or the SQL as the body."""
    api = APIRouter()

    @api.get("/api/sql")
    def get_sql(request: Request, q: str = "") -> Response:
        return _answer(engine, q, request.headers.get("accept", ""))

    @api.post("/api/sql")
    async def post_sql(request: Request) -> Response:
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            q = str((await request.form()).get("q", ""))
        else:
            q = (await request.body()).decode(errors="replace")
        return await run_in_threadpool(_answer, engine, q, request.headers.get("accept", ""))

    return api


def _answer(engine: SqlEngine, q: str, accept: str) -> Response:
    try:
        table = engine.query(q)
        if ARROW in accept:
            return Response(answers.to_arrow(table), media_type=ARROW)
        if CSV in accept:
            return Response(answers.to_csv(table), media_type=CSV)
        return Response(answers.to_json(table), media_type=JSON)
    except ObsError as e:
        later = {"Retry-After": str(math.ceil(e.retry_after_s))} if isinstance(e, Unavailable) else {}
        return Response(orjson.dumps({"error": str(e)}), getattr(e, "http_status", 500), later, JSON)
