"""The WAL's frame: magic, length, CRC32C, payload; and what is in a payload. Pure: bytes in, bytes out.

A payload is one group of appends, all of it or none: parts of (stream, table, Arrow IPC bytes).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import google_crc32c

MAGIC = b"oFrm"
HEADER = struct.Struct("<4sII")  # magic, payload bytes, CRC32C of the payload
_PAYLOAD = struct.Struct("<IH")  # first stream still in use, parts
_PART = struct.Struct("<IBI")  # stream, bytes of the table's name, bytes of the body


@dataclass(frozen=True, slots=True)
class Part:
    """The next bytes of one Arrow IPC stream: its schema where it is the stream's first part, then one batch."""

    stream: int
    table: str
    body: bytes


class End(Enum):
    """How a segment ends."""

    CLEAN = "clean"
    TORN = "torn"  # the last write was cut by a crash: nobody was told that it is stored
    DAMAGED = "damaged"  # whole frames follow the bad one: what was written is not what is there


def encode_frame(first_stream: int, parts: Sequence[Part]) -> bytes:
    """One frame; streams below `first_stream` are never used again."""
    pieces = [_PAYLOAD.pack(first_stream, len(parts))]
    for part in parts:
        name = part.table.encode()
        pieces += (_PART.pack(part.stream, len(name), len(part.body)), name, part.body)
    checksum, size = 0, 0
    for piece in pieces:
        checksum, size = google_crc32c.extend(checksum, piece), size + len(piece)
    return b"".join((HEADER.pack(MAGIC, size, checksum), *pieces))


def encode_bytes(payload: bytes) -> bytes:
    """A frame around a payload."""
    return HEADER.pack(MAGIC, len(payload), google_crc32c.value(payload)) + payload


def decode_payload(payload: bytes) -> tuple[int, list[Part]]:
    """The first stream still in use, and the parts."""
    first_stream, count = _PAYLOAD.unpack_from(payload)
    at = _PAYLOAD.size
    parts = []
    for _ in range(count):
        stream, name_bytes, body_bytes = _PART.unpack_from(payload, at)
        at += _PART.size
        table = payload[at : at + name_bytes].decode()
        at += name_bytes
        parts.append(Part(stream, table, payload[at : at + body_bytes]))
        at += body_bytes
    return first_stream, parts


def frame_at(data: memoryview, offset: int) -> bytes | None:
    """The payload of the frame at `offset`, or None where there is no whole frame with a good checksum."""
    if offset + HEADER.size > len(data):
        return None
    magic, length, crc = HEADER.unpack_from(data, offset)
    end = offset + HEADER.size + length
    if magic != MAGIC or end > len(data):
        return None
    payload = bytes(data[offset + HEADER.size : end])
    return payload if google_crc32c.value(payload) == crc else None


def frames(data: memoryview, offset: int) -> Iterator[tuple[int, bytes]]:
    """(offset, payload) of each good frame from `offset` to the first that is not."""
    while (payload := frame_at(data, offset)) is not None:
        yield offset, payload
        offset += HEADER.size + len(payload)


def how_it_ends(data: memoryview, offset: int) -> End:
    """What the bytes from `offset`, where no good frame starts, mean.

    A crash cuts the last write, so nothing whole can follow; a good frame further on means damage.
    """
    if offset >= len(data):
        return End.CLEAN
    rest = bytes(data[offset:])
    at = rest.find(MAGIC, 1)
    while at >= 0:
        if frame_at(data, offset + at) is not None:
            return End.DAMAGED
        at = rest.find(MAGIC, at + 1)
    return End.TORN
