"""`POST /api/v1/read`: the request's queries one after the other, packed samples or a stream of frames.

A stream is as large as its data, the memory it takes is that of one slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

import cramjam
from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.requests import Request

from obs.errors import ObsError, TooLarge
from obs.model.ports import SeriesSet
from obs.tsdb.remote_read import answers
from obs.tsdb.remote_read.external import External
from obs.tsdb.remote_read.limits import MAX_REQUEST_BYTES, PIECE_BYTES
from obs.tsdb.remote_read.request import Form, Query, ReadRequest, read_request
from obs.tsdb.store import MetricStore

PATH = "/api/v1/read"
STREAM = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"


async def _body(request: Request) -> bytes | TooLarge:
    """The body, or that it is too large: what a dependency raises would not be told in plain text."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_REQUEST_BYTES:
            return TooLarge(f"cannot take a request of more than {MAX_REQUEST_BYTES} bytes: send fewer queries")
    return bytes(body)


def router(store: MetricStore, external_labels: Callable[[], Mapping[str, str]] = dict) -> APIRouter:
    """The one route; series have the external labels where they do not have them themselves."""
    routes = APIRouter()

    @routes.post(PATH, response_class=Response)
    def read(body: bytes | TooLarge = Depends(_body)) -> Response:
        try:
            if isinstance(body, TooLarge):
                raise body
            return _answer(store, read_request(body), External(external_labels()))
        except ObsError as e:
            return PlainTextResponse(f"{e}\n", getattr(e, "http_status", 500))

    return routes


def _answer(store: MetricStore, request: ReadRequest, external: External) -> Response:
    selected = (external.added(_slices(store, query, external)) for query in request.queries)
    if request.form is Form.CHUNKS:
        frames = _pieces(_frames(selected))
        first = next(frames, b"")  # what is wrong with the query is told before the answer has begun
        return StreamingResponse(chain([first], frames), media_type=STREAM)
    packed = bytes(cramjam.snappy.compress_raw(b"".join(map(answers.query_result, selected))))
    return Response(packed, media_type="application/x-protobuf", headers={"Content-Encoding": "snappy"})


def _slices(store: MetricStore, query: Query, external: External) -> Iterator[SeriesSet]:
    return store.slices(external.stored(query.matchers), query.start_ms, query.end_ms)


def _frames(selected: Iterable[Iterable[SeriesSet]]) -> Iterator[bytes]:
    for number, found in enumerate(selected):
        yield from answers.frames(number, found)


def _pieces(frames: Iterator[bytes]) -> Iterator[bytes]:
    """Frames joined to pieces worth a change of threads."""
    few: list[bytes] = []
    size = 0
    for frame in frames:
        few.append(frame)
        size += len(frame)
        if size >= PIECE_BYTES:
            yield b"".join(few)
            few, size = [], 0
    yield b"".join(few)
