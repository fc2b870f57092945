"""The ASGI front: hot ingest paths go straight to their handler, everything else to the FastAPI app.

A dictionary look-up in place of a router and its middleware: at hundreds of requests a second that is the
difference between a tenth and a third of a core.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Mapping, MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from obs.serving.bodies import bounded
from obs.serving.faults import ANSWERED, answer, bug
from obs.serving.whole import Taker

Scope = MutableMapping[str, Any]
AsgiApp = Callable[[Scope, Any, Any], Awaitable[None]]
Handler = Callable[[Request], Awaitable[Response]]


class Front:
    """Dispatches POSTs to `routes` by exact path, and what begins with the first part of a path to its app.

    What is neither goes to `fallback`, and so do other methods on the paths `read_too`. Apps read bodies under
    limits of their own. `takers`: who is given POSTs whole, by URL, where the connection can do so (`whole.py`).
    `quick`: GETs and POSTs by exact path that are answered without the fallback, which has them too and gets those
    that want more of it: a page of another origin, a trace, which `draws` begins for some.
    """

    def __init__(
        self,
        routes: list[Route],
        fallback: AsgiApp,
        apps: Mapping[str, AsgiApp] | None = None,
        read_too: Container[str] = (),
        takers: Mapping[bytes, Taker] | None = None,
        quick: Mapping[str, Handler] | None = None,
        draws: Callable[[], bool] = lambda: False,
    ) -> None:
        self.takers = dict(takers or {})
        self._handlers: dict[str, Handler] = {route.path: route.endpoint for route in routes}
        self._fallback = fallback
        self._apps = dict(apps or {})
        self._read_too = read_too
        self._quick = dict(quick or {})
        self._draws = draws

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one connection event (ASGI)."""
        handler = self._handlers.get(scope["path"]) if scope["type"] == "http" else None
        app = self._apps.get(scope["path"].split("/", 2)[1]) if self._apps and scope["type"] == "http" else None
        if app is not None:
            await app(scope, receive, send)
        elif handler is None or (scope["method"] != "POST" and scope["path"] in self._read_too):
            await self._fall_back(scope, receive, send)
        elif scope["method"] != "POST":
            response: Response = PlainTextResponse("method not allowed: POST telemetry here\n", 405, {"Allow": "POST"})
            await response(scope, receive, send)
        else:
            request = Request(scope, receive)
            try:
                response = await handler(request)
            except Exception as e:
                response = bug(request, e)
            await response(scope, receive, send)

    async def _fall_back(self, scope: Scope, receive: Any, send: Any) -> None:
        """A HEAD is a GET to the app: the server leaves the body out."""
        if scope["type"] != "http":
            return await self._fallback(scope, receive, send)
        quick = self._quick.get(scope["path"])
        if quick is not None and _is_plain(scope) and not self._draws():
            return await _answer(quick, scope, bounded(receive), send)
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await self._fallback(asked, bounded(receive), send)
        except Exception as e:
            if ANSWERED not in getattr(e, "__notes__", ()):
                raise


FOR_THE_APP = frozenset((b"origin", b"traceparent", b"tracestate", b"baggage"))
"""Headers that the app has an ear for, and the handlers of single paths have not."""


def _is_plain(scope: Scope) -> bool:
    """Whether a request may be answered without the app."""
    return scope["method"] in ("GET", "POST") and all(name not in FOR_THE_APP for name, _ in scope["headers"])


async def _answer(handler: Handler, scope: Scope, receive: Any, send: Any) -> None:
    request = Request(scope, receive)
    try:
        response = await handler(request)
    except Exception as e:
        response = answer(request, e)
    await response(scope, receive, send)


class Prefixed:
    """What `app` has below `prefix`, without the prefix: a protocol at a port of its own."""

    def __init__(self, app: AsgiApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one connection event (ASGI)."""
        if "path" in scope:
            raw = scope.get("raw_path") or scope["path"].encode()
            scope = {**scope, "path": self._prefix + scope["path"], "raw_path": self._prefix.encode() + raw}
        await self._app(scope, receive, send)


async def not_found(scope: Scope, receive: Any, send: Any) -> None:
    """The fallback of a port that only takes telemetry."""
    if scope["type"] == "http":
        text = "not found: this port takes OTLP at /v1/traces, /v1/metrics and /v1/logs\n"
        await PlainTextResponse(text, 404)(scope, receive, send)
