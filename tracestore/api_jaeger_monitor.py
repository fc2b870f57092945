"""What Jaeger's Monitor asks: calls, errors and latencies of services as metric families. Times are milliseconds.

Source: Jaeger, parseMetricsQueryParams and its Prometheus metric store; api_v2/metrics/openmetrics.proto.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.responses import Response

from obs.errors import UserError
from obs.tracestore import limits
from obs.tracestore.answering import Given, Params, route_class
from obs.tracestore.api_jaeger import answer, envelope, error
from obs.tracestore.monitor import Kind, MonitorQuery, Series
from obs.tracestore.names import KINDS, SERVER
from obs.tracestore.query import tag_condition
from obs.tracestore.store import TraceStore

MS = 10**6
LOOKBACK_MS, STEP_MS, RATE_MS = 3_600_000, 5_000, 600_000
"""Jaeger's own defaults."""

FAMILIES: dict[Kind, tuple[str, str]] = {
    "calls": ("call_rate", "calls/sec, grouped by service"),
    "errors": ("error_rate", "error rate, computed as a fraction of errors/sec over calls/sec, grouped by service"),
    "latencies": ("latencies", "{quantile:.2f}th quantile latency, grouped by service"),
}


def router(store: TraceStore) -> APIRouter:
    """Routes under /jaeger/api/metrics."""
    api = APIRouter(prefix="/jaeger/api/metrics", route_class=route_class(error), tags=["jaeger"])

    @api.get("/minstep", response_class=Response)
    def minstep(given: Given) -> Response:
        """The least step, in ms."""
        return answer(given, envelope(1))

    @api.get("/calls", response_class=Response)
    def calls(given: Given) -> Response:
        """Calls a second."""
        return _family(given, store, "calls")

    @api.get("/errors", response_class=Response)
    def errors(given: Given) -> Response:
        """The share of calls that failed."""
        return _family(given, store, "errors")

    @api.get("/latencies", response_class=Response)
    def latencies(given: Given) -> Response:
        """A quantile of how long calls took, in ms."""
        return _family(given, store, "latencies")

    return api


def _family(given: Params, store: TraceStore, kind: Kind) -> Response:
    query = _query(given, kind, store.clock.now_ns() // MS)
    series = store.monitor(query)
    name, text = FAMILIES[kind]
    scope, what = ("service_operation", " & operation") if query.by_operation else ("service", "")
    text = text.format(quantile=query.quantile) + what
    if len(series) == limits.MONITOR_SERIES:
        text += f"; the {limits.MONITOR_SERIES} with most calls"
    scale = 1 / MS if kind == "latencies" else 1.0
    times = [_timestamp(t) for t in query.steps().tolist()]
    metrics = [_metric(s, times, scale) for s in series]
    return answer(given, {"name": f"{scope}_{name}", "type": "GAUGE", "help": text, "metrics": metrics})


def _metric(series: Series, times: list[str], scale: float) -> dict[str, Any]:
    labels = [{"name": "service_name", "value": series.service}]
    if series.operation is not None:
        labels.append({"name": "operation", "value": series.operation})
    points = [
        {"gaugeValue": {"doubleValue": "NaN" if v != v else v}, "timestamp": t}
        for t, v in zip(times, (series.values * scale).tolist(), strict=True)
    ]
    return {"labels": labels, "metricPoints": points}


def _timestamp(ns: int) -> str:
    moment = datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = ns % 10**9 // MS
    return f"{moment}.{fraction:03d}Z" if fraction else f"{moment}Z"


def _query(given: Params, kind: Kind, now_ms: int) -> MonitorQuery:
    """What is asked. A step that would make more points than a chart has pixels is lengthened. Raises: UserError."""
    services = given.all("service")
    if not services:
        raise UserError("unable to parse param 'service': please provide at least one service name")
    lookback, step, rate = (
        _ms(given, "lookback", LOOKBACK_MS),
        _ms(given, "step", STEP_MS),
        _ms(given, "ratePer", RATE_MS),
    )
    end = given.whole("endTs", now_ms)
    if not lookback + rate <= end <= limits.MONITOR_LATEST_MS:
        raise UserError(
            f"cannot look back from endTs {end}: give milliseconds since 1970, later than lookback and ratePer"
        )
    by_operation = given.flag("groupByOperation")
    points = limits.MONITOR_POINTS_OF_MANY if by_operation else limits.MONITOR_POINTS
    step = max(step, -(-lookback // points))
    return MonitorQuery(
        kind, list(dict.fromkeys(services)), end * MS, lookback * MS, step * MS, rate * MS, kinds=_kinds(given),
        by_operation=by_operation, quantile=_quantile(given) if kind == "latencies" else 0.0,
        where=[tag_condition(k, v) for k, v in given.tags().items()],
    )  # fmt: skip


def _ms(given: Params, name: str, default: int) -> int:
    found = given.whole(name, default)
    if not found:
        raise UserError(f"unable to parse param '{name}': it is 0; give milliseconds")
    return found


def _quantile(given: Params) -> float:
    text = given.text("quantile") or ""
    try:
        found = float(text)
    except ValueError:
        found = np.nan
    if not 0 <= found <= 1:
        raise UserError(f"unable to parse param 'quantile': {text[:40]!r} is no number from 0 to 1")
    return found


def _kinds(given: Params) -> list[int]:
    """Span kinds by name, as `server` or `SPAN_KIND_SERVER`; servers where none is named, as in Jaeger."""
    found = []
    for text in given.all("spanKind"):
        name = text.lower().removeprefix("span_kind_")
        if name not in KINDS:
            raise UserError(f"unable to parse param 'spanKind': unsupported span kind: {text[:40]!r}")
        found.append(KINDS.index(name))
    return found or [SERVER]
