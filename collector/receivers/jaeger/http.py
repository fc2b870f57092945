"""Jaeger's collector: `POST /jaeger/api/traces`, a Thrift Batch in the binary protocol; errors as plain text.

Source: jaegertracing.io/docs, "APIs", "Thrift over HTTP".
"""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from obs.collector.limits import BodySizes
from obs.collector.receivers.bodies import Bodies
from obs.collector.receivers.jaeger.columns import from_body
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.span_answers import error_response, refusal
from obs.errors import ObsError, UnsupportedMedia
from obs.model.batch import Signal

RECEIVER = "jaeger"
PATH = "/jaeger/api/traces"
MEDIA = ("application/x-thrift", "application/vnd.apache.thrift.binary")


class JaegerSpans:
    """The HTTP transport."""

    def __init__(self, intake: Intake, sizes: BodySizes = BodySizes()) -> None:
        self._bodies = Bodies(intake, Signal.TRACES, RECEIVER, sizes)

    def routes(self) -> list[Route]:
        """The endpoint."""
        return [Route(PATH, self._post, methods=["POST"])]

    def close(self) -> None:
        """Wait for requests in work."""
        self._bodies.close()

    async def _post(self, request: Request) -> Response:
        try:
            check_media(request.headers.get("content-type", ""))
            found = await self._bodies.take(request, from_body)
        except ClientDisconnect:
            return Response(status_code=400)
        except ObsError as e:
            return error_response(e)
        return refusal(found) or Response(status_code=202)


def check_media(content_type: str) -> None:
    """Raises: UnsupportedMedia where a body is no Thrift."""
    if content_type.partition(";")[0].strip().lower() not in MEDIA:
        raise UnsupportedMedia(f"cannot read content type {content_type!r}: send {' or '.join(MEDIA)}")
