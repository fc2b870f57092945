"""The trace store's HTTP: Jaeger's, Tempo's and Zipkin's read APIs, and our own. Taking spans in is the collector's."""

from __future__ import annotations

from fastapi import APIRouter

from obs.tracestore import (
    api_analysis,
    api_jaeger,
    api_jaeger_monitor,
    api_jaeger_v3,
    api_links,
    api_own,
    api_tempo,
    api_zipkin,
)
from obs.tracestore.store import TraceStore


def router(store: TraceStore) -> APIRouter:
    """All routes."""
    api = APIRouter()
    own, jaeger = (api_analysis, api_own, api_links), (api_jaeger, api_jaeger_v3, api_jaeger_monitor)
    for part in (*own, *jaeger, api_tempo, api_zipkin):
        api.include_router(part.router(store))
    return api
