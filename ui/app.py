"""Where the UI enters the server: two routes, and Dash behind them, imported when it is first needed.

In: the server's FastAPI app. Out: `GET /` and everything under `/ui`. Dash gets an app of its own behind the second
route, because its backend adds a catch-all route and a middleware to the app that it is given.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Any, Any], Awaitable[None]]
log = logging.getLogger("obs.ui")

PREFIX = "/ui"
STARTING = """<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=1>
<title>obs</title><link rel=icon href=data:,>
<style>body{font:15px system-ui,sans-serif;display:grid;place-items:center;height:90vh;color:#667;background:#fff}
@media(prefers-color-scheme:dark){body{background:#15181d;color:#9aa3ad}}</style>
<p>obs is up and takes data; its pages are being prepared&hellip;</p></html>"""
PROBED = "obs is ready; its pages are being prepared.\n"
FAILED = "cannot show the UI: it could not be loaded; the server's log has the cause, and the API goes on\n"


class LazyUi:
    """Serves the UI once it is loaded, and until then a page that says so."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._dash: AsgiApp | None = None
        self.failed = False

    def start(self) -> threading.Thread:
        """Load in the background, unless begun; returns the thread."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._load, name="load-ui", daemon=True)
                self._thread.start()
            return self._thread

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one request (ASGI): Dash's own paths as they are, any other one is a page."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        inner = self._dash
        if inner is None:
            await self._starting(scope)(scope, receive, send)
            return
        path = scope["path"]
        own = path.startswith((f"{PREFIX}/_", f"{PREFIX}/assets/"))
        await inner({**scope, "root_path": "", "path": path if own else f"{PREFIX}/"}, receive, send)

    def _starting(self, scope: Scope) -> Response:
        if self.failed:
            return Response(FAILED, 503, media_type="text/plain")
        self.start()
        if is_probe(scope):
            return Response(PROBED, media_type="text/plain")
        return HTMLResponse(STARTING, 503, {"Retry-After": "1"})

    def _load(self) -> None:
        try:
            from obs.ui.dashboard import build  # a second of imports: readiness does not wait for them

            self._dash = build(self._base_url)
        except Exception:
            self.failed = True
            log.exception("the UI could not be loaded; the API goes on")


def is_probe(scope: Scope) -> bool:
    """Whether a client asks at the root for no page: libraries do, to see that the server is there."""
    accepted = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return scope["path"] in ("", "/") and b"text/html" not in accepted


def mount(app: FastAPI, base_url: str, start: bool = True) -> LazyUi:
    """Add the UI to `app`, served or not yet; its callbacks ask the API at `base_url`.

    Cheap. With `start` loading begins now, else with the first request or `LazyUi.start`.
    """
    ui = LazyUi(base_url)
    app.router.routes.insert(0, Route("/", ui, methods=["GET"], name="ui"))
    app.router.routes.insert(1, Mount(PREFIX, ui))
    if start:
        ui.start()
    return ui
