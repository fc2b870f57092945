"""Protobuf as it stands on the wire, written by hand. Source: protobuf.dev/programming-guides/encoding."""

from __future__ import annotations

import struct


def varint(number: int) -> bytes:
    """A number, seven bits a byte; a negative one as its 64 bits."""
    number &= 2**64 - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: bytes | str | int | float) -> bytes:
    """One field: bytes as a message or text, int as a varint, float as a double."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return varint(number << 3) + varint(value)


def signed(number: int, value: int) -> bytes:
    """A field with a zig-zag number."""
    return field(number, value * 2 if value >= 0 else -value * 2 - 1)
