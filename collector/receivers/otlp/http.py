"""OTLP/HTTP: `POST /v1/{traces,metrics,logs}`, protobuf and JSON, errors as google.rpc.Status.

Source: opentelemetry.io/docs/specs/otlp, sections "OTLP/HTTP Request", "Response" and "Throttling".
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from google.protobuf import json_format
from google.rpc import code_pb2, status_pb2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from obs import otlp
from obs.collector import limits
from obs.collector.body import read_body
from obs.collector.crew import Crew
from obs.collector.inflate import inflate
from obs.collector.limits import BodySizes
from obs.collector.pipeline import Room
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.visit import Visit
from obs.errors import ObsError, Unavailable, UnsupportedMedia
from obs.model.batch import Signal

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
RECEIVER = "otlp_http"
PREFIXES = ("/v1", "/api/v1/otlp/v1")
"""OTLP's own path, and the one that Prometheus serves it at."""

Take = Callable[[Signal, str, bool, bytes, Room], Response]
"""Signal, content encoding, whether it is JSON, body, its room → the answer."""

_CODES = {
    400: code_pb2.INVALID_ARGUMENT,
    408: code_pb2.DEADLINE_EXCEEDED,
    413: code_pb2.INVALID_ARGUMENT,
    415: code_pb2.INVALID_ARGUMENT,
    429: code_pb2.RESOURCE_EXHAUSTED,
    500: code_pb2.INTERNAL,
    503: code_pb2.UNAVAILABLE,
}


class OtlpHttp:
    """The HTTP transport: reads requests, answers in the encoding they came in."""

    def __init__(self, intake: Intake, sizes: BodySizes = BodySizes()) -> None:
        self._intake = intake
        self._sizes = sizes
        self._workers = ThreadPoolExecutor(limits.DECODE_THREADS, thread_name_prefix="otlp-http")
        self._crew = Crew(limits.DECODE_THREADS, "otlp-http")

    def routes(self, prefixes: Sequence[str] = PREFIXES) -> list[Route]:
        """The three endpoints under each prefix."""
        return [
            Route(f"{prefix}/{signal.value}", partial(self._export, signal), methods=["POST"])
            for prefix in prefixes
            for signal in Signal
        ]

    def takers(self, prefixes: Sequence[str] = PREFIXES) -> Mapping[bytes, WholeOtlp]:
        """The same for bodies that are taken whole."""
        return {
            f"{prefix}/{signal.value}".encode(): WholeOtlp(self._intake, self._sizes, self._crew, self._take, signal)
            for prefix in prefixes
            for signal in Signal
        }

    def close(self) -> None:
        """Wait for requests in work."""
        self._workers.shutdown()
        self._crew.close()

    async def _export(self, signal: Signal, request: Request) -> Response:
        as_json, encoding = False, request.headers.get("content-encoding", "")
        with self._intake.room() as room:
            try:
                as_json = is_json(request.headers.get("content-type", ""))
                body = await read_body(request, self._sizes.body, room)
            except ClientDisconnect:
                return Response(status_code=400)
            except ObsError as e:
                self._intake.refuse(signal, RECEIVER, e)
                return error_response(e, as_json, read_whole=False)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._workers, self._take, signal, encoding, as_json, body, room)

    def _take(self, signal: Signal, encoding: str, as_json: bool, body: bytes, room: Room) -> Response:
        try:
            body = inflate(body, encoding, self._sizes.inflated, room.grow)
            if as_json:
                body = otlp.json_to_protobuf(signal, body)
        except ObsError as e:
            self._intake.refuse(signal, RECEIVER, e)
            return error_response(e, as_json)
        try:
            decoded = self._intake.take(signal, body, RECEIVER, room)
        except ObsError as e:
            return error_response(e, as_json)
        if as_json:
            return Response(otlp.response_json(signal, decoded), media_type=JSON)
        return Response(otlp.response(signal, decoded), media_type=PROTOBUF)


class WholeOtlp:
    """Bodies of one signal that are taken whole: see `obs.serving.whole`."""

    def __init__(self, intake: Intake, sizes: BodySizes, crew: Crew, take: Take, signal: Signal) -> None:
        self._intake, self._sizes, self._crew, self._take, self._signal = intake, sizes, crew, take, signal

    def begin(self, headers: Mapping[bytes, bytes], nbytes: int) -> Visit | None:
        """Bodies of usual size; a kind that is to be refused comes the other way."""
        if nbytes > min(limits.WHOLE_BYTES, self._sizes.body):
            return None
        try:
            as_json = is_json(headers.get(b"content-type", b"").decode("latin-1"))
        except ObsError:
            return None
        encoding = headers.get(b"content-encoding", b"").decode("latin-1")
        take = partial(self._take, self._signal, encoding, as_json)
        return Visit(self._crew, self._intake.held_room(), take, Refusals(self._intake, self._signal, as_json))


@dataclass(frozen=True, slots=True)
class Refusals:
    """How a request of one signal is refused, in the encoding it came in."""

    intake: Intake
    signal: Signal
    as_json: bool

    def refuse(self, error: ObsError) -> Response:
        """Count a request that was not read whole; the answer."""
        self.intake.refuse(self.signal, RECEIVER, error)
        return error_response(error, self.as_json, read_whole=False)

    def fault(self, error: Exception) -> Response:
        """Count and log a bug; the answer."""
        return error_response(self.intake.fault(self.signal, RECEIVER, error), self.as_json)


def is_json(content_type: str) -> bool:
    """Whether a body is OTLP's JSON (True) or its protobuf (False). Raises: UnsupportedMedia."""
    media = content_type.partition(";")[0].strip().lower()
    if media not in (PROTOBUF, JSON):
        raise UnsupportedMedia(f"cannot read content type {content_type!r}: send {PROTOBUF} or {JSON}")
    return media == JSON


def error_response(error: ObsError, as_json: bool, read_whole: bool = True) -> Response:
    """The error as google.rpc.Status with the HTTP status and Retry-After that OTLP asks for."""
    http_status = getattr(error, "http_status", 500)
    status = status_pb2.Status(code=_CODES.get(http_status, code_pb2.UNKNOWN), message=str(error))
    headers = {} if read_whole else {"Connection": "close"}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if as_json:
        text = json_format.MessageToJson(status, preserving_proto_field_name=True)
        return Response(text, http_status, headers, JSON)
    return Response(status.SerializeToString(), http_status, headers, PROTOBUF)
