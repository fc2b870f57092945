"""Errors at the edge of HTTP: deliberate ones in words, bugs as a 500 with an id, never a traceback at a user."""

from __future__ import annotations

import logging
import secrets

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from obs.errors import ObsError

log = logging.getLogger("obs.http")

ANSWERED = "answered and in the log"
"""A note on an exception that was dealt with: frameworks raise it once more after the answer."""


def install(app: FastAPI) -> None:
    """Answer errors that a room's own router let through."""
    app.add_exception_handler(ObsError, _deliberate)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_exception_handler(Exception, bug)


def answer(request: Request, error: Exception) -> Response:
    """The same for whoever answers without the app."""
    return _deliberate(request, error) if isinstance(error, ObsError) else bug(request, error)


def _deliberate(_: Request, error: Exception) -> Response:
    status = getattr(error, "http_status", 500)
    kind = "bad_data" if status < 500 else "unavailable"
    return JSONResponse({"status": "error", "errorType": kind, "error": str(error)}, status)


def _unknown(request: Request, error: Exception) -> Response:
    """A path or a method that there is not."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        kind, text = "not_found", f"not found: {request.url.path}; /api/docs names all paths"
    else:
        kind, text = "bad_data", f"{error.detail}: {request.method} {request.url.path}"
    return JSONResponse({"status": "error", "errorType": kind, "error": text}, error.status_code, error.headers)


def bug(request: Request, error: Exception) -> Response:
    """The answer to what was never meant to be raised; the log has it under the answer's id."""
    fault = secrets.token_hex(8)
    log.error("fault %s in %s %s", fault, request.method, request.url.path, exc_info=error)
    error.add_note(ANSWERED)
    text = f"internal error {fault}; the server's log has the details under this id"
    return JSONResponse({"status": "error", "errorType": "internal", "error": text}, 500)
