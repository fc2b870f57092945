"""Where a malformed body goes wrong: a plain walk over the wire bytes, only ever run after decoding has failed.

In: a message descriptor and the body. Out: half a sentence that names the fault and its byte.
"""

from __future__ import annotations

from typing import Any

from obs.otlp.limits import MAX_EXPLAINED_BYTES

VARINT, I64, LEN, START_GROUP, END_GROUP, I32 = range(6)
_MAX_DEPTH = 100


class _Fault(Exception):
    def __init__(self, at: int, cause: str) -> None:
        super().__init__(f"{cause} at byte {at}")


class _TooFar(Exception):
    pass


def find_fault(descriptor: Any, body: bytes) -> str:
    """What is wrong with `body` as a message of `descriptor`, and at which byte."""
    try:
        _walk(descriptor, body, 0, len(body), 0)
    except _Fault as fault:
        return str(fault)
    except _TooFar:
        return f"it is malformed past byte {MAX_EXPLAINED_BYTES}"
    return "it is malformed"


def _walk(descriptor: Any, body: bytes, at: int, end: int, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _Fault(at, f"messages nest deeper than {_MAX_DEPTH}")
    fields = descriptor.fields_by_number if descriptor is not None else {}
    while at < end:
        if at > MAX_EXPLAINED_BYTES:
            raise _TooFar
        at = _field(fields, body, at, end, depth)


def _field(fields: Any, body: bytes, at: int, end: int, depth: int) -> int:
    start = at
    tag, at = _varint(body, at, end)
    number, kind = tag >> 3, tag & 7
    if number == 0 or tag > 0xFFFFFFFF:
        raise _Fault(start, f"field number {number} is not allowed")
    if kind != LEN:
        return _scalar(body, start, at, end, number, kind, depth)
    size, at = _varint(body, at, end)
    if size > end - at:
        raise _Fault(start, f"field {number} is {size} bytes long where {end - at} are left")
    field = fields.get(number)
    if field is not None and field.message_type is not None:
        _walk(field.message_type, body, at, at + size, depth + 1)
    return at + size


def _scalar(body: bytes, start: int, at: int, end: int, number: int, kind: int, depth: int) -> int:
    if kind == VARINT:
        return _varint(body, at, end)[1]
    if kind == START_GROUP:
        return _group(body, at, end, number, depth + 1)
    if kind not in (I64, I32):
        raise _Fault(start, f"wire type {kind} is not allowed")
    width = 8 if kind == I64 else 4
    if end - at < width:
        raise _Fault(start, f"field {number} needs {width} bytes where {end - at} are left")
    return at + width


def _group(body: bytes, at: int, end: int, number: int, depth: int) -> int:
    if depth > _MAX_DEPTH:
        raise _Fault(at, f"groups nest deeper than {_MAX_DEPTH}")
    while at < end:
        tag, after = _varint(body, at, end)
        if tag & 7 == END_GROUP:
            if tag >> 3 != number:
                raise _Fault(at, f"group {number} is closed as {tag >> 3}")
            return after
        at = _field({}, body, at, end, depth)
    raise _Fault(at, f"group {number} is not closed")


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for i in range(10):
        if at + i >= end:
            raise _Fault(at, "a number is cut off")
        byte = body[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if value >> 64:
                break
            return value, at + i + 1
    raise _Fault(at, "a number is longer than 64 bits")
