"""A request's parameters as pairs, and JSON for texts of any kind: bytes that are no UTF-8 come in as lone surrogates.

They are errors in queries and go out as U+FFFD, as Prometheus does it.
"""

from __future__ import annotations

import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from obs.errors import UserError
from obs.tsdb.promql.lexer import without_surrogates

WITH_BODY = ("POST", "PUT")
MULTIPART = "multipart/form-data"
MOST_PARTS = 1_000
"""Lines that may begin a part, of one form: clients send a few, and each costs a third of a millisecond."""

Pairs = list[tuple[str, str]]


async def read_pairs(request: Request) -> Pairs:
    """The form's parameters, then those of the address; of several of one name the first counts.

    Of a form in parts the address's come first, as in Prometheus. Raises: UserError.
    """
    body = await request.body() if request.method in WITH_BODY else b""
    given, kind = _pairs(request.scope.get("query_string", b"")), request.headers.get("content-type", "")
    if body and kind.lower().startswith(MULTIPART):
        return given + _parts(body, kind)
    return _pairs(body) + given


def _nested() -> UserError:
    return UserError("cannot read form: it has parts within parts; send each parameter as a part")


def _parts(body: bytes, kind: str) -> Pairs:
    """The fields of a form in parts; files are none."""
    if body.count(b"\n--") > MOST_PARTS:
        raise UserError(f"cannot read form: it has more than {MOST_PARTS} parts; send fewer parameters")
    head = b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n"
    try:
        message = BytesParser(policy=HTTP).parsebytes(head + body)
    except RecursionError:
        raise _nested() from None
    if not message.is_multipart():
        raise UserError(f"cannot read form {kind!r}: it has no parts with this boundary; send it as one")
    found = []
    for part in message.iter_parts():
        if part.is_multipart():
            raise _nested()
        name, text = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and part.get_filename() is None and isinstance(text, bytes):
            found.append((name, text.decode(errors="surrogateescape")))
    return found


def _pairs(data: bytes) -> Pairs:
    text = data.decode(errors="surrogateescape")
    return parse_qsl(text, keep_blank_values=True, errors="surrogateescape")


def json_bytes(value: Any) -> bytes:
    """JSON of plain values."""
    try:
        return orjson.dumps(value)
    except TypeError:  # a lone surrogate, or values within values past what orjson follows
        return without_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()
