"""Zipkin's collector: `POST /zipkin/api/{v1,v2}/spans`, JSON, protobuf and Thrift; errors as plain text.

Source: github.com/openzipkin/zipkin-api, zipkin2-api.yaml and zipkin-api.yaml.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from obs.collector.limits import BodySizes
from obs.collector.receivers.bodies import Bodies
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.span_answers import error_response, refusal
from obs.collector.receivers.zipkin import messages, v1
from obs.collector.receivers.zipkin.columns import from_json
from obs.collector.receivers.zipkin.model import ZipkinSpan
from obs.collector.receivers.zipkin.spans import spans
from obs.errors import ObsError, UnsupportedMedia
from obs.model.batch import Decoded, Signal
from obs.otlp.spans import decoded

RECEIVER = "zipkin"
V1, V2 = "/zipkin/api/v1/spans", "/zipkin/api/v2/spans"

PROTOBUF = ("application/x-protobuf", "application/protobuf")
THRIFT = ("application/x-thrift", "application/vnd.apache.thrift.binary")

Parse = Callable[[bytes], Iterator[ZipkinSpan]]


class ZipkinSpans:
    """The HTTP transport."""

    def __init__(self, intake: Intake, sizes: BodySizes = BodySizes()) -> None:
        self._bodies = Bodies(intake, Signal.TRACES, RECEIVER, sizes)

    def routes(self) -> list[Route]:
        """The two endpoints."""
        return [Route(path, partial(self._post, path), methods=["POST"]) for path in (V1, V2)]

    def close(self) -> None:
        """Wait for requests in work."""
        self._bodies.close()

    async def _post(self, path: str, request: Request) -> Response:
        try:
            parse = parser(path, request.headers.get("content-type", ""))
            found = await self._bodies.take(request, partial(_decoded, parse))
        except ClientDisconnect:
            return Response(status_code=400)
        except ObsError as e:
            return error_response(e)
        return refusal(found) or Response(status_code=202)


def parser(path: str, content_type: str) -> Parse:
    """What reads a body of this type; any type that is no other is JSON, as with Zipkin. Raises: UnsupportedMedia."""
    media = content_type.partition(";")[0].strip().lower()
    if media in THRIFT and path == V1:
        return v1.from_thrift
    if media in PROTOBUF and path == V2:
        return messages.from_protobuf
    if media in (*THRIFT, *PROTOBUF):
        other = "protobuf goes to /api/v2/spans" if media in PROTOBUF else "Thrift goes to /api/v1/spans"
        raise UnsupportedMedia(f"cannot read content type {content_type!r} here: {other}; send it there, or JSON")
    return v1.from_json if path == V1 else messages.from_json


def _decoded(parse: Parse, body: bytes) -> Decoded:
    if parse is messages.from_json:
        return from_json(body, time.time_ns())
    return decoded(spans(parse(body), time.time_ns()))
