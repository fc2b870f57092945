"""Elasticsearch, as far as shippers need it: bulk and single documents in, and what they ask before they send.

Filebeat, Logstash, Fluent Bit, Vector and the language clients look at the version, the license, templates and
pipelines first; templates and policies are said to be there, since columns need none.
Source: elastic.co/docs/api/doc/elasticsearch
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from obs.collector.limits import BodySizes
from obs.collector.receivers.bodies import Bodies, Decode
from obs.collector.receivers.elasticsearch.bulk import Item, parse, record
from obs.collector.receivers.elasticsearch.bulk import loads as read_json
from obs.collector.receivers.otlp.intake import Intake
from obs.errors import ObsError, Unavailable, UserError
from obs.model.batch import Decoded, Signal
from obs.otlp.reasons import SENTENCES
from obs.otlp.records import decoded

RECEIVER = "elasticsearch"
PREFIX = "/elasticsearch"
VERSION = "8.19.0"
"""What we speak: clients of 8 and 9 accept it."""

PRODUCT = {"X-Elastic-Product": "Elasticsearch"}
"""The header without which Elastic's own clients refuse to go on."""

CLUSTER = "obs"
THERE = ("GET", "HEAD", "PUT", "POST", "DELETE")


class Elasticsearch:
    """The endpoints as an ASGI app, at its root."""

    def __init__(self, intake: Intake, sizes: BodySizes = BodySizes()) -> None:
        self._bodies = Bodies(intake, Signal.LOGS, RECEIVER, sizes)
        self.app = Starlette(routes=[*self._writing(), *_asking()])

    def close(self) -> None:
        """Wait for requests in work."""
        self._bodies.close()

    def _writing(self) -> Sequence[Route]:
        one = [f"/{{index}}/{kind}{id_}" for kind in ("_doc", "_create") for id_ in ("", "/{id}")]
        return [
            Route("/_bulk", self._bulk, methods=["POST", "PUT"]),
            Route("/{index}/_bulk", self._bulk, methods=["POST", "PUT"]),
            *(Route(path, self._one, methods=["POST", "PUT"]) for path in one),
        ]

    async def _bulk(self, request: Request) -> Response:
        began, items = time.perf_counter(), list[Item]()

        def decode(body: bytes) -> Decoded:
            items.extend(parse(body, request.path_params.get("index", "")))
            return _decoded(items)

        refused = await self._refused(request, decode)
        if refused is not None:
            return refused
        took = int((time.perf_counter() - began) * 1e3)
        errors = any(item.error for item in items)
        return answer({"took": took, "errors": errors, "items": [item.answer() for item in items]})

    async def _refused(self, request: Request, decode: Decode) -> Response | None:
        """Store a body; the answer where nothing of it was."""
        try:
            await self._bodies.take(request, decode)
        except ClientDisconnect:
            return Response(status_code=400)
        except ObsError as e:
            return error_response(e)
        return None

    async def _one(self, request: Request) -> Response:
        item = Item("index", request.path_params["index"], request.path_params.get("id", "") or "_")

        def decode(body: bytes) -> Decoded:
            try:
                document = read_json(body)
            except ValueError as e:
                raise UserError(f"failed to parse: {e}") from None
            if not isinstance(document, dict):
                raise UserError("failed to parse: a document is an object")
            item.record = record(document, item.index)
            return _decoded([item])

        refused = await self._refused(request, decode)
        if refused is not None:
            return refused
        said = item.answer()["index"]
        return answer(said, said.pop("status"))


def _decoded(items: Sequence[Item]) -> Decoded:
    """The batch of items with a record; one of an impossible time is marked so."""
    found = decoded(item.record for item in items if item.record is not None)
    if found.rejected:
        for item in items:
            if item.record is not None and decoded([item.record]).rejected:
                item.error = ("document_parsing_exception", next(SENTENCES[reason] for reason in found.rejected))
    return found


def _asking() -> Sequence[Route]:
    """What shippers ask before they send, and what they set up."""
    named = ("_ilm/policy", "_index_template", "_component_template", "_template", "_ingest/pipeline", "_data_stream")
    routes = [
        Route("/", _root, methods=["GET", "HEAD"]),
        Route("/_license", _license),
        Route("/_xpack", _xpack),
        Route("/_cluster/health", _health),
        Route("/_nodes", _nodes),
        Route("/_nodes/{rest:path}", _nodes),
        Route("/_cat/{rest:path}", _none),
        Route("/_logstash/{rest:path}", _none),
    ]
    for name in named:
        routes += [Route(f"/{name}", _none), Route(f"/{name}/{{rest:path}}", _kept, methods=list(THERE))]
    routes += [
        Route("/_ingest/{rest:path}", _none),
        Route("/_alias/{rest:path}", _kept, methods=list(THERE)),
        Route("/{index}", _kept, methods=list(THERE)),
        Route("/{index}/{rest:path}", _unknown, methods=list(THERE)),
    ]
    return routes


async def _root(_: Request) -> Response:
    version = {
        "number": VERSION, "build_flavor": "default", "build_type": "tar", "build_hash": "obs", "build_snapshot": False,
        "build_date": "2025-01-01T00:00:00.000Z", "lucene_version": "9.12.0",
        "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
    }  # fmt: skip
    tagline = "You Know, for Search"
    named = {"name": CLUSTER, "cluster_name": CLUSTER, "cluster_uuid": "obsobsobsobsobsobsobsa"}
    return answer({**named, "version": version, "tagline": tagline})


async def _license(_: Request) -> Response:
    return answer({"license": {"status": "active", "uid": "obs", "type": "basic", "mode": "basic"}})


async def _xpack(_: Request) -> Response:
    return answer({"license": {"type": "basic", "mode": "basic", "status": "active"}, "features": {}})


async def _health(_: Request) -> Response:
    return answer({"cluster_name": CLUSTER, "status": "green", "timed_out": False, "number_of_nodes": 1})


async def _nodes(request: Request) -> Response:
    address = request.headers.get("host", "127.0.0.1:9200")
    http = {"bound_address": [address], "publish_address": address, "max_content_length_in_bytes": 100 << 20}
    node = {"name": CLUSTER, "version": VERSION, "roles": ["data", "ingest", "master"], "http": http}
    return answer({"cluster_name": CLUSTER, "nodes": {"obs": node}})


async def _none(_: Request) -> Response:
    return answer({})


async def _kept(request: Request) -> Response:
    """A template, a policy or an index: made when it is asked for."""
    if request.method in ("PUT", "POST", "DELETE"):
        await request.body()
        return answer({"acknowledged": True})
    return answer({})


async def _unknown(request: Request) -> Response:
    return _error("illegal_argument_exception", f"no handler found for uri [{request.url.path}]", 400)


def error_response(error: ObsError) -> Response:
    """An error of ours in Elasticsearch's terms: 429 makes shippers wait and send again."""
    status = getattr(error, "http_status", 500)
    if isinstance(error, Unavailable):
        wait = {"Retry-After": str(math.ceil(error.retry_after_s))}
        return _error("es_rejected_execution_exception", str(error), 429, wait)
    kind = {413: "content_too_long_exception", 415: "media_type_header_exception"}.get(status)
    return _error(kind or ("illegal_argument_exception" if status < 500 else "exception"), str(error), status)


def _error(kind: str, reason: str, status: int, headers: dict[str, str] | None = None) -> Response:
    cause = {"type": kind, "reason": reason}
    return JSONResponse(
        {"error": {"root_cause": [cause], **cause}, "status": status}, status, {**PRODUCT, **(headers or {})}
    )


def answer(found: Any, status: int = 200) -> Response:
    """An answer that Elastic's clients take."""
    return JSONResponse(found, status, PRODUCT)
