"""Protobuf's wire format in plain Python: the fields of a message, one after the other.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from obs.errors import TooLarge, UserError
from obs.otlp.limits import MAX_ITEMS

Value = int | bytes

MAX_PACKED_BYTES = 1 << 20
"""Packed numbers of one field: those of a histogram with 65,536 buckets take half of it."""


def malformed(what: str) -> UserError:
    """The error for bytes that are no message."""
    return UserError(f"cannot read remote write body: {what}; send protobuf as the specification has it")


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """(field number, value): numbers as int (fixed ones as their bits), texts and messages as bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: Value
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 2:
            size, at = varint(data, at)
            if size > end - at:
                raise malformed(f"a field of {size} bytes is cut off at byte {at}")
            value, at = data[at : at + size], at + size
        elif wire in (1, 5):
            width = 8 if wire == 1 else 4
            if width > end - at:
                raise malformed(f"a number is cut off at byte {at}")
            value, at = int.from_bytes(data[at : at + width], "little"), at + width
        else:
            raise malformed(f"wire type {wire} at byte {at}")
        if not 0 < number < 1 << 29:
            raise malformed(f"field number {number} at byte {at}")
        yield number, value


def bounded(given: Iterator[tuple[int, Value]]) -> Iterator[tuple[int, Value]]:
    """The fields, as long as they are not too many to be Python values. Raises: TooLarge."""
    for count, pair in enumerate(given):
        if count >= MAX_ITEMS:
            raise too_many()
        yield pair


def too_many() -> TooLarge:
    """The error for a body of very many very small parts."""
    return TooLarge(f"cannot take remote write body: it has more than {MAX_ITEMS} parts; send smaller ones")


def varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, next)."""
    value = shift = 0
    for i in range(at, min(at + 10, len(data))):
        byte = data[i]
        if shift == 63 and byte > 1:
            break
        value |= (byte & 127) << shift
        if byte < 128:
            return value, i + 1
        shift += 7
    raise malformed(f"a number is cut off at byte {at}")


def double(bits: Value) -> float:
    """The double of these bits."""
    found: float = struct.unpack("<d", integer(bits).to_bytes(8, "little"))[0]
    return found


def signed(value: Value) -> int:
    """An int64 of its 64 bits."""
    number = integer(value)
    return number - (1 << 64) if number >= 1 << 63 else number


def zigzag(value: Value) -> int:
    """A sint32 or sint64."""
    number = integer(value)
    return (number >> 1) ^ -(number & 1)


def integer(value: Value) -> int:
    """A number. Raises: UserError where it is a text."""
    if isinstance(value, bytes):
        raise malformed("a text stands where a number must")
    return value


def raw(value: Value) -> bytes:
    """A text or message. Raises: UserError where it is a number."""
    if isinstance(value, int):
        raise malformed("a number stands where a text must")
    return value


def text(value: Value) -> str | None:
    """A text, or None where it is not UTF-8."""
    try:
        return raw(value).decode()
    except UnicodeDecodeError:
        return None


def varints(value: Value) -> list[int]:
    """Repeated numbers, packed or not."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    if len(value) > MAX_PACKED_BYTES:
        raise malformed(f"{len(value)} bytes of numbers stand in one field")
    while at < len(value):
        number, at = varint(value, at)
        found.append(number)
    return found


def doubles(value: Value) -> list[float]:
    """Repeated doubles, packed or not."""
    if isinstance(value, int):
        return [double(value)]
    if len(value) > MAX_PACKED_BYTES:
        raise malformed(f"{len(value)} bytes of numbers stand in one field")
    if len(value) % 8:
        raise malformed("packed doubles are cut off")
    return list(struct.unpack(f"<{len(value) // 8}d", value))
