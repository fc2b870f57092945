"""Answers to browsers of other origins, as Prometheus gives them: anyone's page may read its query API.

Source: https://prometheus.io/docs/prometheus/latest/command-line/prometheus/, --web.cors.origin (all by default).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

HEADERS = {
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, Origin",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Date",
    "Vary": "Origin",
}


class OpenRoute(APIRoute):
    """A route that also answers OPTIONS, and that any page may read."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["methods"] = {*(options.get("methods") or ("GET",)), "OPTIONS"}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with these headers where a browser names its page's origin."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            response = Response(status_code=204) if request.method == "OPTIONS" else await answer(request)
            if "origin" in request.headers:
                response.headers.update(HEADERS)
            return response

        return answered
