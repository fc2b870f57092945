"""What an operator asks of the process: health, readiness, metrics, status, reload, flush, compact."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from obs.errors import ConfigError
from obs.model.batch import Signal
from obs.model.ports import Store
from obs.serving.status import Status


def router(
    status: Status,
    registry: CollectorRegistry,
    stores: Mapping[Signal, Store],
    reload: Callable[[], str],
    compact: Callable[[], int],
) -> APIRouter:
    """All routes of the process itself."""
    api = APIRouter()

    @api.api_route("/-/healthy", methods=["GET", "HEAD"])
    def healthy() -> Response:
        return Response("obs is healthy.\n", media_type="text/plain")

    @api.api_route("/-/ready", methods=["GET", "HEAD"])
    def ready() -> Response:
        if not status.ready:
            return Response("obs is starting.\n", 503, media_type="text/plain")
        return Response("obs is ready.\n", media_type="text/plain")

    @api.post("/-/reload")
    @api.put("/-/reload")
    def reload_all() -> Response:
        try:
            told = reload()
        except ConfigError as e:
            return Response(f"{e}\n", 400, media_type="text/plain")
        return Response(f"{told}\n", media_type="text/plain")

    @api.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @api.get("/api/status")
    def get_status() -> Response:
        return Response(orjson.dumps(status.to_json(), default=str), media_type="application/json")

    @api.get("/internal/flush")
    @api.post("/internal/flush")
    def flush() -> Response:
        for store in stores.values():
            store.flush()
        return Response("flushed\n", media_type="text/plain")

    @api.get("/internal/force_merge")
    @api.post("/internal/force_merge")
    def force_merge() -> Response:
        return Response(f"merged blocks {compact()} times\n", media_type="text/plain")

    return api
