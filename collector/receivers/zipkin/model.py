"""A Zipkin span as any of its encodings gives it, and the reading of values that senders write in several ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from obs.errors import UserError

_HEX = re.compile(r"[0-9a-fA-F]{1,32}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One side of a call; what is not known is empty."""

    service: str = ""
    ip: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class Annotation:
    """Something that happened at a time."""

    time_us: int
    value: str


@dataclass(slots=True)
class ZipkinSpan:
    """One span of the v2 model; `kind` is Zipkin's word in upper case, ids are padded to their whole length."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes = b""
    name: str = ""
    kind: str = ""
    timestamp_us: int = 0  # 0: not known
    duration_us: int = 0
    local: Endpoint = Endpoint()
    remote: Endpoint = Endpoint()
    annotations: list[Annotation] = field(default_factory=list)
    tags: dict[str, Any] = field(default_factory=dict)
    debug: bool = False
    shared: bool = False


def hex_id(value: Any, size: int) -> bytes:
    """An id of 1 to `2 * size` hex digits, padded on the left; what is none is empty, and refuses its span."""
    if not isinstance(value, str) or len(value) > 2 * size or not _HEX.fullmatch(value):
        return b""
    return bytes.fromhex(value.zfill(2 * size))


def optional_id(value: Any) -> bytes:
    """The id of a parent: empty where there is none; one byte, which refuses the span, where it is no id."""
    return b"" if value is None or value == "" else hex_id(value, 8) or b"?"


def whole(value: Any, where: str) -> int:
    """A number of microseconds or of a port. Raises: UserError."""
    if value is None:
        return 0
    if isinstance(value, str) and re.fullmatch(r"\d{1,19}", value, re.ASCII):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 2**63:
        raise UserError(f"cannot decode spans: {where} is no whole number, but {str(value)[:80]!r}")
    return int(value)


def text(value: Any, where: str) -> str:
    """A text, empty where there is none. Raises: UserError."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(f"cannot decode spans: {where} is no text, but {str(value)[:80]!r}")
    return value


def objects(value: Any, where: str) -> list[Mapping[str, Any]]:
    """A list of objects, empty where there is none. Raises: UserError."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise UserError(f"cannot decode spans: {where} is no list of objects")
    return value
