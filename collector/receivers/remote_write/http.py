"""Prometheus remote write, 1.0 and 2.0: `POST /api/v1/write`.

Source: prometheus.io/docs/specs/prw/remote_write_spec (1.0), remote_write_spec_2_0.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from obs import remote_write
from obs.collector import limits
from obs.collector.body import read_body
from obs.collector.crew import Crew
from obs.collector.inflate import Grow, inflate, unsnapped
from obs.collector.limits import BodySizes
from obs.collector.pipeline import Room
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.visit import Visit
from obs.errors import ObsError, Unavailable, UnsupportedMedia
from obs.model.batch import Decoded, Signal
from obs.remote_write import reasons

RECEIVER = "remote_write"
PATH = "/api/v1/write"
MESSAGES = ("prometheus.WriteRequest", "io.prometheus.write.v2.Request")
"""The `proto` parameter of the content type; the first where there is none."""

WRITTEN = Response(status_code=204)
"""The answer of protocol 1.0 where everything was stored."""


class RemoteWrite:
    """The HTTP transport of both protocols."""

    def __init__(self, intake: Intake, sizes: BodySizes = BodySizes()) -> None:
        self._intake = intake
        self._sizes = sizes
        self._cache = remote_write.SeriesCache(intake.typed)
        self._workers = ThreadPoolExecutor(limits.DECODE_THREADS, thread_name_prefix="remote-write")
        self._crew = Crew(limits.DECODE_THREADS, "remote-write")

    def routes(self) -> list[Route]:
        """The one endpoint."""
        return [Route(PATH, self._write, methods=["POST"])]

    def takers(self) -> Mapping[bytes, RemoteWrite]:
        """The same for bodies that are taken whole."""
        return {PATH.encode(): self}

    def close(self) -> None:
        """Wait for requests in work."""
        self._workers.shutdown()
        self._crew.close()

    def begin(self, headers: Mapping[bytes, bytes], nbytes: int) -> Visit | None:
        """See `obs.serving.whole`: usual bodies; a kind that is to be refused comes the other way."""
        usual = nbytes <= limits.WHOLE_BYTES and nbytes <= self._sizes.body
        if not usual or headers.get(b"content-encoding", b"snappy") != b"snappy":
            return None
        try:
            second = is_second(headers.get(b"content-type", b"").decode("latin-1"))
        except ObsError:
            return None
        return Visit(self._crew, self._intake.held_room(), partial(self._take_usual, second), self)

    def refuse(self, error: ObsError) -> Response:
        """Count a request that was not read whole; the answer."""
        self._intake.refuse(Signal.METRICS, RECEIVER, error)
        return error_response(error, read_whole=False)

    def fault(self, error: Exception) -> Response:
        """Count and log a bug; the answer."""
        return error_response(self._intake.fault(Signal.METRICS, RECEIVER, error))

    async def _write(self, request: Request) -> Response:
        encoding = request.headers.get("content-encoding", "snappy")
        with self._intake.room() as room:
            try:
                second = is_second(request.headers.get("content-type", ""))
                body = await read_body(request, self._sizes.body, room)
            except ClientDisconnect:
                return Response(status_code=400)
            except ObsError as e:
                self._intake.refuse(Signal.METRICS, RECEIVER, e)
                return error_response(e, read_whole=False)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._workers, self._take, body, encoding, second, room)

    def _take_usual(self, second: bool, body: bytes, room: Room) -> Response:
        return self._take(body, "snappy", second, room)

    def _take(self, body: bytes, encoding: str, second: bool, room: Room) -> Response:
        """Store what a body holds; the answer."""
        try:
            body = inflated(body, encoding, self._sizes.inflated, room.grow)
        except ObsError as e:
            self._intake.refuse(Signal.METRICS, RECEIVER, e)
            return error_response(e)
        decode = partial(remote_write.decode, second, body)
        try:
            decoded = self._intake.take_metrics(decode, self._cache, RECEIVER)
        except ObsError as e:
            return error_response(e)
        return answer(decoded, second)


def is_second(content_type: str) -> bool:
    """Whether a body is of protocol 2.0. Raises: UnsupportedMedia."""
    media, *parameters = (part.strip() for part in content_type.split(";"))
    given = dict(part.partition("=")[::2] for part in parameters)
    proto = given.get("proto", MESSAGES[0]).strip('"')
    if media.lower() != "application/x-protobuf" or proto not in MESSAGES:
        raise UnsupportedMedia(
            f"cannot read content type {content_type!r}: send application/x-protobuf with proto={' or '.join(MESSAGES)}"
        )
    return proto == MESSAGES[1]


def inflated(body: bytes, encoding: str, limit: int, grow: Grow) -> bytes:
    """A body in snappy's block format, or in any encoding that `inflate` knows. Raises: TooLarge, UserError."""
    if encoding.strip().lower() != "snappy":
        return inflate(body, encoding, limit, grow)
    return unsnapped(body, limit, grow)


def answer(decoded: Decoded, second: bool) -> Response:
    """What was written; 400 where samples were refused, so that the sender does not send them again."""
    headers = {}
    if second:
        tables = decoded.batch.tables
        hists, exemplars = (tables[n].num_rows if n in tables else 0 for n in ("histograms", "exemplars"))
        headers = {
            "X-Prometheus-Remote-Write-Samples-Written": str(decoded.batch.items - hists),
            "X-Prometheus-Remote-Write-Histograms-Written": str(hists),
            "X-Prometheus-Remote-Write-Exemplars-Written": str(exemplars),
        }
    if not decoded.rejected:
        return Response(status_code=204, headers=headers) if second else WRITTEN
    sentences = {**reasons.SENTENCES, **decoded.why}
    why = "; ".join(f"{count} because {sentences[r]}" for r, count in decoded.rejected.items())
    said = f"cannot store {decoded.rejected_items} samples: {why}; the other {decoded.batch.items} are stored\n"
    return PlainTextResponse(said, 400, headers)


def error_response(error: ObsError, read_whole: bool = True) -> Response:
    """The error in words, with Retry-After where it is worth trying again."""
    headers = {} if read_whole else {"Connection": "close"}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return PlainTextResponse(f"{error}\n", getattr(error, "http_status", 500), headers)
