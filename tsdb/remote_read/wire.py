"""Writing protobuf: numbers, texts and messages as fields.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from obs.model.labels import Labels

MASK_64 = (1 << 64) - 1


def varint(number: int) -> bytes:
    """A number of up to 64 bits; negative ones in two's complement."""
    number &= MASK_64
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> int:
    """A signed number as an unsigned one, small where it is small."""
    return number << 1 if number >= 0 else ~(number << 1)


def number_field(field: int, number: int) -> bytes:
    """int64, uint64, an enum."""
    return varint(field << 3) + varint(number)


def double_field(field: int, value: float) -> bytes:
    """A double."""
    return varint(field << 3 | 1) + struct.pack("<d", value)


def bytes_field(field: int, value: bytes) -> bytes:
    """A text or a message."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def doubles_field(field: int, values: Iterable[float]) -> bytes:
    """Packed doubles."""
    given = list(values)
    return bytes_field(field, struct.pack(f"<{len(given)}d", *given)) if given else b""


def labels_fields(labels: Labels) -> bytes:
    """`repeated Label labels = 1`: 1 name, 2 value."""
    return b"".join(
        bytes_field(1, bytes_field(1, name.encode()) + bytes_field(2, value.encode())) for name, value in labels
    )
