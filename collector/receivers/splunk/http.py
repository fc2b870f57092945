"""Splunk's HTTP event collector: `/services/collector[/event|/raw|/ack|/health]`, its codes and its tokens.

An acknowledgement is always true: an answer is sent when the events are in the write-ahead log.
Source: docs.splunk.com, "HTTP Event Collector REST API endpoints".
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from hmac import compare_digest

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from obs.collector.limits import BodySizes
from obs.collector.receivers.bodies import Bodies
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.splunk.events import ENVELOPE, BadEvent, from_events, from_lines
from obs.errors import ObsError, TooLarge, Unavailable
from obs.model.batch import Decoded, Signal
from obs.otlp.reasons import SENTENCES
from obs.otlp.records import Record, decoded

RECEIVER = "splunk_hec"
PREFIX = "/services/collector"
CHANNEL = "x-splunk-request-channel"

Parse = Callable[[bytes, Mapping[str, str]], Iterator[Record]]


class SplunkHec:
    """The endpoints as an ASGI app. `tokens`: those that may send; none: everybody."""

    def __init__(self, intake: Intake, tokens: Sequence[str] = (), sizes: BodySizes = BodySizes()) -> None:
        self._bodies = Bodies(intake, Signal.LOGS, RECEIVER, sizes)
        self._tokens = tuple(tokens)
        self._acks = itertools.count()
        self.app = Starlette(routes=list(self._routes()))

    def close(self) -> None:
        """Wait for requests in work."""
        self._bodies.close()

    def _routes(self) -> Iterator[Route]:
        for version in ("", "/1.0"):
            for name in ("", "/event"):
                yield Route(f"{PREFIX}{name}{version}", self._events, methods=["POST"])
            yield Route(f"{PREFIX}/raw{version}", self._raw, methods=["POST"])
            yield Route(f"{PREFIX}/health{version}", _health, methods=["GET"])
        yield Route(f"{PREFIX}/ack", self._acknowledged, methods=["POST"])

    async def _events(self, request: Request) -> Response:
        return await self._taken(request, from_events)

    async def _raw(self, request: Request) -> Response:
        return await self._taken(request, from_lines)

    async def _taken(self, request: Request, parse: Parse) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        given = {key: value for key, value in request.query_params.items() if key in ENVELOPE}
        try:
            found = await self._bodies.take(request, lambda body: decoded(parse(body, given)))
        except ClientDisconnect:
            return Response(status_code=400)
        except BadEvent as e:
            return _answer(str(e), e.code, 400, {"invalid-event-number": e.number})
        except ObsError as e:
            return error_response(e)
        if found.rejected:
            return _answer(_why(found), 6, 400, {"invalid-event-number": 0})
        channel = request.headers.get(CHANNEL) or request.query_params.get("channel")
        return _answer("Success", 0, 200, {"ackId": next(self._acks)} if channel else {})

    async def _acknowledged(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        try:
            acks = json.loads(await request.body())["acks"]
            return JSONResponse({"acks": {str(int(ack)): True for ack in acks}})
        except (ValueError, KeyError, TypeError):
            return _answer("Invalid data format", 6, 400)

    def _refused(self, request: Request) -> Response | None:
        """The answer to a request without a token that may send."""
        if not self._tokens:
            return None
        given = token(request)
        if not given:
            return _answer("Token is required", 2, 401)
        if not any(compare_digest(given.encode(), known.encode()) for known in self._tokens):
            return _answer("Invalid token", 4, 403)
        return None


def token(request: Request) -> str:
    """The token of `Authorization: Splunk …`, of basic authentication's password, or of the address."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return given.strip() if scheme.lower() in ("splunk", "bearer") else request.query_params.get("token", "")


async def _health(_: Request) -> Response:
    return _answer("HEC is healthy", 17, 200)


def error_response(error: ObsError) -> Response:
    """An error of ours in Splunk's terms."""
    if isinstance(error, Unavailable):
        return _answer(f"Server is busy: {error}", 9, 503)
    if isinstance(error, TooLarge):
        return _answer(str(error), 27, 413)
    status = getattr(error, "http_status", 500)
    return _answer(str(error), 8 if status >= 500 else 6, status)


def _why(found: Decoded) -> str:
    why = "; ".join(f"{count} because {SENTENCES[reason]}" for reason, count in found.rejected.items())
    return f"cannot store {found.rejected_items} events: {why}; the other {found.batch.items} are stored"


def _answer(text: str, code: int, status: int, more: Mapping[str, object] | None = None) -> Response:
    return JSONResponse({"text": text, "code": code, **(more or {})}, status)
