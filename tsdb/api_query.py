"""Prometheus's query API: /api/v1/query, query_range, format_query, parse_query; GET, and POST with a form.

In: parameters as text. Out: Prometheus's JSON, errors included (bad_data 400, execution 422, timeout 503).
Source: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from obs.cors import OpenRoute
from obs.errors import ObsError, QueryError
from obs.model.durations import duration_text
from obs.tsdb.forms import json_bytes, read_pairs
from obs.tsdb.promql import PromQL, QueryTimeout, Result, encode
from obs.tsdb.promql.counting import Counts
from obs.tsdb.promql.lexer import duration_ms
from obs.tsdb.promql.parse import parse_to_show
from obs.tsdb.promql.plan import Node
from obs.tsdb.promql.printer import pretty
from obs.tsdb.promql.tree import tree
from obs.tsdb.promql.values import I64

STATS = ("true", "all")
USE_STARTS = "X-Prometheus-Use-Start-Timestamps"
"""The header that says whether a query heeds start timestamps."""

Parameters = Mapping[str, str]
Count = Callable[[str], tuple[I64, Counts]]
"""How many samples each step of a query looks at, with the steps' times."""

PREFIX = "/api/v1"

RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$", re.ASCII)
"""What of ISO 8601 a time may be."""


class BadParameter(QueryError):
    """A parameter that cannot be read."""

    def __init__(self, name: str, cause: str) -> None:
        self.cause = cause
        super().__init__(f'invalid parameter "{name}": {cause}')


async def parameters(request: Request) -> Parameters:
    """The form's parameters and the address's; of several of one name the first."""
    given = dict(reversed(await read_pairs(request)))
    told = request.headers.get(USE_STARTS)
    return given if told is None else {**given, USE_STARTS: told}


def router(promql: PromQL, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> APIRouter:
    """The routes, answered by `promql`."""
    routes = APIRouter(prefix=PREFIX, route_class=OpenRoute)
    endpoints: dict[str, Callable[[Parameters], Response]] = {
        **_queries(promql, now_ms),
        "/format_query": lambda p: _success(json_bytes(pretty(_parsed(p)))),
        "/parse_query": lambda p: _success(json_bytes(tree(_parsed(p)))),
    }
    for path, answer in endpoints.items():
        routes.add_api_route(path, _endpoint(answer), methods=["GET", "POST"], response_class=Response)
    return routes


def handlers(
    promql: PromQL, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
) -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """What the routes of queries do, by path, without a framework around it, which costs more than a small query."""

    def handler(answer: Callable[..., Response]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            return await run_in_threadpool(answer, await parameters(request))

        return handle

    return {PREFIX + path: handler(_endpoint(answer)) for path, answer in _queries(promql, now_ms).items()}


def _queries(promql: PromQL, now_ms: Callable[[], int]) -> dict[str, Callable[[Parameters], Response]]:
    return {
        "/query": lambda p: _instant(promql, p, now_ms()),
        "/query_range": lambda p: _range(promql, p),
    }


def _endpoint(answer: Callable[[Parameters], Response]) -> Callable[..., Response]:
    def endpoint(p: Parameters = Depends(parameters)) -> Response:
        try:
            return answer(p)
        except ObsError as e:
            return error_response(e)

    return endpoint


def _instant(promql: PromQL, p: Parameters, now_ms: int) -> Response:
    t_ms = read_time(p, "time", now_ms)
    lookback, timeout = read_lookback(p), read_timeout(p)
    return _answer(
        p,
        lambda q: promql.query(q, t_ms, lookback, timeout, use_starts=_use_starts(p)),
        lambda q: promql.counts(q, (t_ms, t_ms, 0), lookback, timeout),
    )


def _range(promql: PromQL, p: Parameters) -> Response:
    start, end = read_time(p, "start"), read_time(p, "end")
    if end < start:
        raise BadParameter("end", "end timestamp must not be before start time")
    step = read_duration(p, "step")
    if step is None:
        raise BadParameter("step", 'cannot parse "" to a valid duration')
    if step <= 0 and not 0 < (_number(p["step"]) or 0) < 1:
        raise BadParameter(
            "step", "zero or negative query resolution step widths are not accepted. Try a positive integer"
        )
    lookback, timeout = read_lookback(p), read_timeout(p)
    anew = p.get("nocache", "") not in ("", "0", "false")
    return _answer(
        p,
        lambda q: promql.query_range(q, start, end, max(step, 1), lookback, timeout, anew, _use_starts(p)),
        lambda q: promql.counts(q, (start, end, max(step, 1)), lookback, timeout),
    )


def _answer(p: Parameters, evaluate: Callable[[str], Result], count: Count) -> Response:
    limit = whole_number("limit", p.get("limit", ""))
    try:
        result = evaluate(p.get("query", ""))
    except QueryError as e:
        # A syntax error is the parameter's; one that meets the data is the execution's.
        raise BadParameter("query", str(e)) if e.position is not None or "for range query" in str(e) else e from None
    warnings = list(result.warnings)
    if 0 < limit < len(result.labels):
        warnings.append("results truncated due to limit")
    body = encode.data(result, limit)
    if (stats := p.get("stats")) and stats not in STATS:
        cause = "is deprecated and will be rejected in the next major release"
        warnings.append(f'value "{stats}" for parameter "stats" {cause}, use "true" or "all"')
    if stats:
        body = body[:-1] + b',"stats":' + json_bytes(_stats(result, count(p["query"]), stats == "all")) + b"}"
    return _success(body, warnings, list(result.infos))


def _parsed(p: Parameters) -> Node:
    try:
        return parse_to_show(p.get("query", ""))
    except QueryError as e:
        raise BadParameter("query", str(e)) from None


def _stats(result: Result, counted: tuple[I64, Counts], each_step: bool) -> dict[str, object]:
    """Prometheus's statistics of a query; `each_step`: its samples by step, too."""
    times, counts = counted
    seconds = float(result.stats.get("seconds", 0.0))
    samples = int(result.stats.get("samples", 0))
    timings = {"evalTotalTime": seconds, "resultSortTime": 0.0, "queryPreparationTime": 0.0,
               "innerEvalTime": seconds, "execQueueTime": 0.0, "execTotalTime": seconds}  # fmt: skip
    sizes: dict[str, object] = {
        "totalQueryableSamples": int(counts.looked_at.sum()),
        "samplesRead": int(counts.read.sum()),
        "peakSamples": max(samples, int(result.present.sum())),
        "seriesTouched": int(result.stats.get("series", 0)),
    }
    if each_step:
        for name, column in (("totalQueryableSamples", counts.looked_at), ("samplesRead", counts.read)):
            sizes[f"{name}PerStep"] = [[t / 1000, n] for t, n in zip(times.tolist(), column.tolist(), strict=True)]
    return {"timings": timings, "samples": sizes, "source": dict(result.stats)}


def _success(data: bytes, warnings: list[str] | None = None, infos: list[str] | None = None) -> Response:
    body = b'{"status":"success","data":' + data
    if warnings:
        body += b',"warnings":' + json_bytes(warnings)
    if infos:
        body += b',"infos":' + json_bytes(infos)
    return Response(body + b"}", media_type="application/json")


def error_response(error: ObsError) -> Response:
    """An error in Prometheus's terms."""
    status = int(getattr(error, "http_status", 422))
    kind = "bad_data" if status == 400 else "execution"
    if isinstance(error, QueryTimeout):
        kind = "timeout"
    body = json_bytes({"status": "error", "errorType": kind, "error": str(error)})
    return Response(body, status_code=status, media_type="application/json")


def read_time(p: Parameters, name: str, default: int | None = None) -> int:
    """A time parameter, seconds since 1970 or RFC 3339, in milliseconds."""
    text = p.get(name, "")
    if not text:
        if default is None:
            raise BadParameter(name, 'cannot parse "" to a valid timestamp')
        return default
    seconds = _number(text)
    if seconds is None:
        seconds = _rfc3339(text)
    if seconds is None or not abs(seconds) < 2**53:
        whose = "" if default is None else f"invalid time value for '{name}': "
        raise BadParameter(name, f'{whose}cannot parse "{text}" to a valid timestamp')
    return math.floor(seconds * 1000 + 0.5)


def _rfc3339(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text) if RFC3339.match(text) else None
    except ValueError:
        return None
    return None if moment is None else moment.timestamp()


def read_duration(p: Parameters, name: str) -> int | None:
    """A duration parameter, seconds or 5m, in milliseconds; None where it is not given."""
    text = p.get(name, "")
    if not text:
        return None
    seconds = _number(text)
    ms = duration_ms(text) if seconds is None else None if abs(seconds) > 2**63 / 1e9 else round(seconds * 1000)
    if ms is None:
        raise BadParameter(name, f'cannot parse "{text}" to a valid duration')
    return ms


def read_lookback(p: Parameters) -> int | None:
    """The lookback in milliseconds; None, for the server's own, where it is not given or not above zero."""
    try:
        given = read_duration(p, "lookback_delta")
    except BadParameter as e:
        raise QueryError(f"error parsing lookback delta duration: {e.cause}") from None
    return None if given is None or given <= 0 else given


def _use_starts(p: Parameters) -> bool | None:
    """What the request says of start timestamps; None where it says nothing. Raises: QueryError."""
    text = p.get(USE_STARTS, "")
    if text.lower() not in ("", "true", "1", "t", "false", "0", "f"):
        raise QueryError(f'error parsing {USE_STARTS} header: strconv.ParseBool: parsing "{text}": invalid syntax')
    return text.lower() in ("true", "1", "t") if text else None


def read_timeout(p: Parameters) -> float | None:
    """The timeout in seconds; None, for the server's own, where it is not given. Raises: BadParameter."""
    ms = read_duration(p, "timeout")
    if ms is not None and ms <= 0:
        raise BadParameter("timeout", f"timeout must be positive, got {duration_text(ms)}")
    return None if ms is None else ms / 1000


def whole_number(name: str, text: str) -> int:
    """A limit; 0, for none, where it is not given. Raises: BadParameter."""
    if re.fullmatch(r"[+-]?\d{1,18}|", text, re.ASCII) is None:
        raise BadParameter(name, f'strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text or 0) < 0:
        raise BadParameter(name, f"{name} must be non-negative")
    return int(text or 0)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
