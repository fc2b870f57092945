"""Prometheus's HTTP API over the store: labels, series, metadata, exemplars, status; and the query API beside it.

Endpoints are plain functions: the framework runs them in threads. Rules and alerts are another room's.
Source: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from obs.cors import OpenRoute
from obs.errors import ObsError, QueryError
from obs.tsdb import api_query, federate, status
from obs.tsdb.admin import clean_tombstones, delete_series
from obs.tsdb.api_query import error_response
from obs.tsdb.exemplars import Exemplar
from obs.tsdb.export import export
from obs.tsdb.features import features
from obs.tsdb.forms import json_bytes
from obs.tsdb.limits import MOST_STATUS_TOP, STATUS_TOP
from obs.tsdb.params import Params, label_name, raw_name, read_params, selectors_in
from obs.tsdb.promql import PromQL
from obs.tsdb.promql.formatting import go_json
from obs.tsdb.remote_read import http as remote_read
from obs.tsdb.snapshots import snapshot
from obs.tsdb.store import MetricStore
from obs.tsdb.why.api import query_why

PREFIX = "/api/v1"
BOTH = ["GET", "POST"]
TRUNCATED = "results truncated due to limit"

Endpoint = Callable[[Params], Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the API says of the process's configuration, asked for each time, for a reload changes it."""

    config: Callable[[], str] = str  # YAML without secrets
    external_labels: Callable[[], Mapping[str, str]] = dict
    reloaded: Callable[[], status.Reloaded] = status.Reloaded


def router(
    store: MetricStore,
    promql: PromQL,
    *,
    version: str,
    started_ns: int,
    settings: Settings | None = None,
) -> APIRouter:
    """All routes, and those of the query API."""
    settings = settings or Settings()
    api = APIRouter(tags=["metrics"], route_class=OpenRoute)
    api.include_router(api_query.router(promql))
    api.include_router(remote_read.router(store, settings.external_labels))
    api.include_router(federate.router(store, settings.external_labels))
    _add_labels(api, store)
    _add(api, "/series", BOTH, lambda p: _limited(list(map(dict, _series(store, p))), p))
    _add(api, "/metadata", ["GET"], lambda p: _metadata(store, p))
    _add(api, "/query_exemplars", BOTH, lambda p: _exemplars(store, p))
    _add(api, "/export", BOTH, lambda p: export(store, p))
    _add(api, "/query_why", BOTH, lambda p: query_why(store, promql, p))
    _add(api, "/admin/tsdb/snapshot", ["POST", "PUT"], lambda p: snapshot(store, p))
    _add(api, "/admin/tsdb/delete_series", ["POST", "PUT"], lambda p: delete_series(store, p))
    _add(api, "/admin/tsdb/clean_tombstones", ["POST", "PUT"], lambda _: clean_tombstones(store))
    _add(api, "/notifications", ["GET"], lambda _: [])
    _add_status(api, store, promql, version, started_ns, settings)
    return api


def _add(api: APIRouter, path: str, methods: list[str], answer: Endpoint) -> None:
    def endpoint(given: Params = Depends(read_params)) -> Response:
        return _answered(answer, given)

    api.add_api_route(PREFIX + path, endpoint, methods=methods, response_class=Response, name=path.strip("/"))


def _answered(answer: Endpoint, given: Params) -> Response:
    try:
        found = answer(given)
    except ObsError as e:
        return error_response(e)
    return found if isinstance(found, Response) else success(found)


def success(data: Any, warnings: Sequence[str] = ()) -> Response:
    """Prometheus's envelope."""
    envelope = {"status": "success", "data": data, **({"warnings": list(warnings)} if warnings else {})}
    return Response(json_bytes(envelope), media_type="application/json")


def _limited(rows: list[Any], given: Params) -> Response:
    limit = given.whole("limit")
    return success(rows[:limit], [TRUNCATED]) if 0 < limit < len(rows) else success(rows)


def _add_labels(api: APIRouter, store: MetricStore) -> None:
    def limited(find: Callable[..., list[str]], p: Params) -> Response:
        p.whole("limit")
        span = p.span()
        return _limited(find(p.selectors(blamed=False), *span), p)

    _add(api, "/labels", BOTH, lambda p: limited(store.label_names, p))

    @api.api_route(PREFIX + "/label/{name:path}/values", methods=BOTH, response_class=Response)
    def label_values(request: Request, name: str, given: Params = Depends(read_params)) -> Response:
        """Values of one label."""
        text = raw_name(request.scope.get("raw_path", b""), name)
        return _answered(lambda p: limited(partial(store.label_values, label_name(text)), p), given)


def _series(store: MetricStore, given: Params) -> Sequence[Any]:
    selectors = given.selectors()
    if not selectors:
        raise QueryError("no match[] parameter provided")
    limit = given.whole("limit")
    return store.series(selectors, *given.span(), most=limit + 1 if limit > 0 else None)


def _metadata(store: MetricStore, given: Params) -> dict[str, list[dict[str, str]]]:
    limit, per_metric = given.number("limit"), max(given.number("limit_per_metric"), 0)
    found = store.metadata(given.text("metric") or None).items()
    return {
        metric: [{"type": d.type, "unit": d.unit, "help": d.help} for d in islice(descriptions, per_metric or None)]
        for metric, descriptions in islice(found, limit if limit >= 0 else None)
    }


def _exemplars(store: MetricStore, given: Params) -> list[dict[str, Any]]:
    start, end = given.span()
    if end < start:
        raise QueryError("end timestamp must not be before start timestamp")
    selectors = selectors_in(given.text("query"))
    if not selectors:
        return []
    return [
        {"seriesLabels": dict(labels), "exemplars": [_exemplar(e) for e in found]}
        for labels, found in store.exemplars(selectors, start, end)
    ]


def _exemplar(exemplar: Exemplar) -> dict[str, Any]:
    t_ms = exemplar.t_ms
    return {
        "labels": dict(exemplar.labels),
        "value": go_json(exemplar.value),
        "timestamp": t_ms / 1000 if t_ms % 1000 else t_ms // 1000,
    }


def _top(given: Params) -> int:
    text = given.text("limit")
    top = int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else 0 if text else STATUS_TOP
    if top <= 0:
        raise QueryError("limit must be a positive number")
    if top > MOST_STATUS_TOP:
        raise QueryError(f"limit must not exceed {MOST_STATUS_TOP}")
    return top


def _add_status(
    api: APIRouter, store: MetricStore, promql: PromQL, version: str, started_ns: int, settings: Settings
) -> None:
    answers: dict[str, Endpoint] = {
        "/status/tsdb": lambda p: status.tsdb(store, _top(p)),
        "/status/buildinfo": lambda _: status.buildinfo(version),
        "/status/config": lambda _: {"yaml": settings.config()},
        "/status/runtimeinfo": lambda _: status.runtimeinfo(store, started_ns, settings.reloaded()),
        "/status/flags": lambda _: status.flags(store, promql.options),
        "/features": lambda _: features(),
        "/status/tsdb/blocks": lambda _: {"blocks": status.blocks(store)},
        "/status/walreplay": lambda _: status.walreplay(store.stats()),
    }
    for path, answer in answers.items():
        _add(api, path, ["GET"], answer)
