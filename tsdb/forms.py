"""A request's parameters as pairs, and JSON for texts of any kind: bytes that are no UTF-8 come in as lone surrogates.

They are errors in queries and go out as U+FFFD, as Prometheus does it.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from obs.tsdb.promql.lexer import without_surrogates

WITH_BODY = ("POST", "PUT")

Pairs = list[tuple[str, str]]


async def read_pairs(request: Request) -> Pairs:
    """The form's parameters, then those of the address; of several of one name the first counts."""
    body = await request.body() if request.method in WITH_BODY else b""
    return _pairs(body) + _pairs(request.scope.get("query_string", b""))


def _pairs(data: bytes) -> Pairs:
    text = data.decode(errors="surrogateescape")
    return parse_qsl(text, keep_blank_values=True, errors="surrogateescape")


def json_bytes(value: Any) -> bytes:
    """JSON of plain values."""
    try:
        return orjson.dumps(value)
    except TypeError:  # a lone surrogate, or values within values past what orjson follows
        return without_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()
