"""`/api/sql?q=`: JSON `{columns, rows}`, CSV or an Arrow stream, by Accept."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from obs.errors import ObsError
from obs.sql.engine import SqlEngine

ARROW = "application/vnd.apache.arrow.stream"


def router(engine: SqlEngine) -> APIRouter:
    """GET with `q`, or POST with `q` in a form or the SQL as the body."""
    api = APIRouter()

    @api.get("/api/sql")
    def get_sql(request: Request, q: str) -> Response:
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
    except ObsError as e:
        return Response(orjson.dumps({"error": str(e)}), getattr(e, "http_status", 500), media_type="application/json")
    if ARROW in accept:
        return Response(_arrow(table), media_type=ARROW)
    if "text/csv" in accept:
        return Response(_csv(table), media_type="text/csv")
    body = {"columns": table.column_names, "rows": _rows(table)}
    return Response(orjson.dumps(body, default=_plain), media_type="application/json")


def _rows(table: pa.Table) -> list[list[Any]]:
    columns = [_values(column) for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _plain(value: Any) -> Any:
    """What JSON has no word for: bytes as hex, everything else as text."""
    return value.hex() if isinstance(value, bytes) else str(value)


def _arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _csv(table: pa.Table) -> bytes:
    flat = [c if _is_flat(c.type) else pa.array([_text(v) for v in c.to_pylist()], pa.string()) for c in table.columns]
    sink = io.BytesIO()
    pyarrow.csv.write_csv(pa.table(dict(zip(table.column_names, flat, strict=True))), sink)
    return sink.getvalue()


def _is_flat(type_: pa.DataType) -> bool:
    return not pa.types.is_nested(type_) and not pa.types.is_binary(type_)


def _text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value, default=_plain).decode()


def _values(column: pa.ChunkedArray) -> list[Any]:
    """A column's values; times as ISO text, since Python's own stop at microseconds."""
    return list((column.cast(pa.string()) if pa.types.is_timestamp(column.type) else column).to_pylist())
