"""Loki's push: `POST /loki/api/v1/push`, JSON and snappy protobuf, errors as plain text.

Source: grafana.com/docs/loki/latest/reference/loki-http-api, "Ingest logs".
"""

from __future__ import annotations

import math

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from obs.collector.inflate import Grow, inflate, unsnapped
from obs.collector.limits import BodySizes
from obs.collector.receivers.bodies import Bodies
from obs.collector.receivers.loki.messages import from_json, from_protobuf
from obs.collector.receivers.loki.push import records
from obs.collector.receivers.otlp.intake import Intake
from obs.errors import ObsError, Unavailable, UnsupportedMedia
from obs.model.batch import Decoded, Signal
from obs.otlp.reasons import SENTENCES
from obs.otlp.records import decoded

RECEIVER = "loki"
PATHS = ("/loki/api/v1/push", "/api/prom/push")
"""Loki's path, and the one it had before version 2."""

JSON, PROTOBUF = "application/json", "application/x-protobuf"


class LokiPush:
    """The HTTP transport."""

    def __init__(self, intake: Intake, sizes: BodySizes = BodySizes()) -> None:
        self._bodies = Bodies(intake, Signal.LOGS, RECEIVER, sizes)

    def routes(self) -> list[Route]:
        """The endpoint under both paths."""
        return [Route(path, self._push, methods=["POST"]) for path in PATHS]

    def close(self) -> None:
        """Wait for requests in work."""
        self._bodies.close()

    async def _push(self, request: Request) -> Response:
        try:
            if is_json(request.headers.get("content-type", "")):
                found = await self._bodies.take(request, lambda body: decoded(records(from_json(body))))
            else:
                found = await self._bodies.take(request, lambda body: decoded(records(from_protobuf(body))), _unsnapped)
        except ClientDisconnect:
            return Response(status_code=400)
        except ObsError as e:
            return error_response(e)
        return answer(found)


def is_json(content_type: str) -> bool:
    """Whether a body is JSON (True) or protobuf, which is what Loki takes a body of no type for. Raises."""
    media = content_type.partition(";")[0].strip().lower()
    if media not in ("", JSON, PROTOBUF):
        raise UnsupportedMedia(f"cannot read content type {content_type!r}: send {JSON} or {PROTOBUF}")
    return media == JSON


def _unsnapped(body: bytes, encoding: str, limit: int, grow: Grow) -> bytes:
    """A protobuf body: snappy's block format, whether it says so or not, as with Loki."""
    if encoding.strip().lower() in ("", "snappy"):
        return unsnapped(body, limit, grow)
    return inflate(body, encoding, limit, grow)


def answer(found: Decoded) -> Response:
    """204; 400 where lines were refused, so that the sender does not send them again."""
    if not found.rejected:
        return Response(status_code=204)
    why = "; ".join(f"{count} because {SENTENCES[reason]}" for reason, count in found.rejected.items())
    said = f"cannot store {found.rejected_items} lines: {why}; the other {found.batch.items} are stored\n"
    return PlainTextResponse(said, 400)


def error_response(error: ObsError) -> Response:
    """The error in words, with Retry-After where it is worth trying again."""
    wait = {"Retry-After": str(math.ceil(error.retry_after_s))} if isinstance(error, Unavailable) else {}
    return PlainTextResponse(f"{error}\n", getattr(error, "http_status", 500), wait)
