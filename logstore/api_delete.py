"""Loki's delete requests: `POST /loki/api/v1/delete?query=…&start=…&end=…`, their list, and their end.

Source: Loki, "HTTP API", Compactor: log deletion. A delete takes hold when it is answered, so none can be cancelled.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse, Response

from obs.logstore import responses
from obs.logstore.delete_requests import DeleteRequest, DeleteRequests
from obs.logstore.params import Params, read_params

Given = Annotated[Params, Depends(read_params)]


def add_deletes(api: APIRouter, requests: DeleteRequests) -> None:
    """The routes."""

    @api.api_route("/api/v1/delete", methods=["POST", "PUT"], response_class=Response)
    def delete(given: Given) -> Response:
        """Delete the records of a log query, from `start` (1970) to `end` (now), both inclusive."""
        requests.add(given.text("query"), given.time_ns("start", 0), given.time_ns("end", given.now_ns))
        return Response(status_code=204)

    @api.get("/api/v1/delete", response_class=Response)
    def listed() -> Response:
        """What was asked for."""
        return responses.LokiJson([_shown(request) for request in requests.all()])

    @api.delete("/api/v1/delete", response_class=Response)
    def cancelled(request: Request) -> Response:
        """There is nothing left to cancel."""
        request_id = request.query_params.get("request_id", "")
        if any(each.request_id == request_id for each in requests.all()):
            return PlainTextResponse("deletion of request which is in process or already processed is not allowed", 400)
        return PlainTextResponse("could not find delete request with given id", 404)


def _shown(request: DeleteRequest) -> dict[str, object]:
    return {
        "request_id": request.request_id,
        "start_time": request.start_ns / 1e9,
        "end_time": request.end_ns / 1e9,
        "query": request.query,
        "status": request.status,
        "created_at": request.created_ns / 1e9,
    }
