"""Pushgateway's routes: PUT, POST and DELETE of /metrics/job/<job>{/<label>/<value>}.

A label's name ending in `@base64` says that its value is base64url. Source: https://github.com/prometheus/pushgateway#api
"""

from __future__ import annotations

import base64
import binascii
import math
from urllib.parse import unquote

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from obs.collector import limits
from obs.collector.body import read_body
from obs.collector.inflate import inflate
from obs.collector.pipeline import Room
from obs.collector.receivers.push.receiver import RECEIVER, Push
from obs.errors import ObsError, Unavailable, UserError
from obs.exposition import Page, parse
from obs.exposition.delimited import Histograms, parse_delimited
from obs.model.labels import Labels, make_labels

PREFIX = "/metrics/"
BASE64 = "@base64"
PROTOBUF = "application/vnd.google.protobuf"
BOTH = Histograms(native=True, classic_too=True)
"""Native histograms come in protobuf only, as Go's client pushes them."""


def router(push: Push, max_body_bytes: int = limits.MAX_BODY_BYTES) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=[RECEIVER])

    async def changed(request: Request) -> Response:
        try:
            labels = grouping(request.scope["raw_path"].decode("ascii", "replace"))
            if request.method == "DELETE":
                await run_in_threadpool(push.delete, labels)
                return Response(status_code=202)
            with push.room() as room:
                body = await read_body(request, min(max_body_bytes, limits.MAX_PUSHED_BYTES), room)
                await run_in_threadpool(_take, push, labels, body, request, room)
        except ClientDisconnect:
            return Response(status_code=400)
        except ObsError as e:
            wait = {"Retry-After": str(math.ceil(e.retry_after_s))} if isinstance(e, Unavailable) else {}
            return Response(f"{e}\n", getattr(e, "http_status", 500), wait, "text/plain")
        return Response(status_code=200)

    for path in ("job/{rest:path}", f"job{BASE64}/{{rest:path}}"):
        api.add_api_route(PREFIX + path, changed, methods=["PUT", "POST", "DELETE"], include_in_schema=False)
    return api


def _take(push: Push, labels: Labels, body: bytes, request: Request, room: Room) -> None:
    body = inflate(body, request.headers.get("content-encoding", ""), limits.MAX_PUSHED_BYTES, room.grow)
    push.take(labels, read_page(body, request.headers.get("content-type", "")), request.method == "PUT")


def read_page(body: bytes, content_type: str) -> Page:
    """A pushed page in any of the formats. Raises: ExpositionError, UserError."""
    if content_type.startswith(PROTOBUF):
        return parse_delimited(body, BOTH)
    try:
        return parse(body.decode(), "openmetrics" in content_type)
    except UnicodeDecodeError as e:
        raise UserError(f"cannot read pushed metrics: they are not UTF-8 ({e.reason} at byte {e.start})") from None


def grouping(path: str) -> Labels:
    """The labels that a path names. Raises: UserError."""
    parts = path.removeprefix(PREFIX).rstrip("/").split("/")
    if len(parts) % 2:
        raise UserError(f"cannot use path {path!r}: each label needs a value; write /metrics/job/<job>/<label>/<value>")
    found: dict[str, str] = {}
    for name, value in zip(map(unquote, parts[::2]), parts[1::2], strict=True):
        plain = _decoded(value) if name.endswith(BASE64) else unquote(value)
        name = name.removesuffix(BASE64)
        if not name or name.startswith("__") or name in found:
            raise UserError(f"cannot use path {path!r}: {name!r} is no label to group by, or stands twice")
        found[name] = plain
    if not found["job"]:
        raise UserError(f"cannot use path {path!r}: the job is empty")
    return make_labels(found)


def _decoded(value: str) -> str:
    padded = unquote(value).rstrip("=")
    try:
        return base64.b64decode(padded + "=" * (-len(padded) % 4), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise UserError(f"cannot use label value {value!r}: it is not base64url of UTF-8") from None
