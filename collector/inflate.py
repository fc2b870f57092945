"""Content encodings: a body's bytes as they came → the bytes that were meant, never more than a limit.

Streams are read piece by piece up to the limit, so a bomb costs what the limit allows and no more.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator

import cramjam
import pyarrow as pa

from obs.collector.limits import MAX_GZIP_MEMBERS
from obs.errors import TooLarge, UnsupportedMedia, UserError

ENCODINGS = ("identity", "gzip", "deflate", "zstd")

PIECE_BYTES = 1 << 20
"""What is inflated between two looks at the limits."""

INPUT_BYTES = 16 << 10
"""What is read at one time: the rest of it is copied at the end of each gzip member."""

Grow = Callable[[int], None]


def inflate(body: bytes, encoding: str, limit: int, grow: Grow = lambda nbytes: None) -> bytes:
    """`body` decoded by HTTP content encoding `encoding` ("" is identity); `grow` is told of each piece it grows by.

    Raises: TooLarge over `limit` bytes, UnsupportedMedia for other encodings, UserError for damaged streams, and
    what `grow` raises.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ENCODINGS:
        raise UnsupportedMedia(
            f"cannot read content encoding {encoding!r}: not supported; send one of {', '.join(ENCODINGS)}"
        )
    out = io.BytesIO()
    try:
        for piece in _zstd(body) if encoding == "zstd" else _zlib(body, encoding):
            grow(len(piece))
            out.write(piece)
            if out.tell() > limit:
                break
    except (OSError, zlib.error, pa.ArrowInvalid) as e:
        raise UserError(f"cannot inflate {encoding} body of {len(body)} bytes: {e}; send it whole") from None
    if out.tell() > limit:
        raise TooLarge(f"cannot take {encoding} body of {len(body)} bytes: it inflates to more than {limit} bytes")
    return out.getvalue()


def unsnapped(body: bytes, limit: int, grow: Grow = lambda nbytes: None) -> bytes:
    """`body` decoded from snappy's block format. Raises: TooLarge, UserError, and what `grow` raises."""
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > limit:
            raise TooLarge(f"cannot take snappy body of {len(body)} bytes: it inflates to {size}, the limit is {limit}")
        grow(size)
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as e:
        raise UserError(f"cannot inflate snappy body of {len(body)} bytes: {e}; send it in the block format") from None


def _zstd(body: bytes) -> Iterator[bytes]:
    with pa.CompressedInputStream(pa.BufferReader(body), "zstd") as stream:
        while piece := stream.read(PIECE_BYTES):
            yield piece


def _zlib(body: bytes, encoding: str) -> Iterator[bytes]:
    """gzip (some members), or deflate with or without its zlib header (both are in use)."""
    raw_deflate = encoding == "deflate" and (body[:1] or b"\0")[0] & 0x0F != 8
    wbits = 31 if encoding == "gzip" else -15 if raw_deflate else 15
    stream, at, members = zlib.decompressobj(wbits), 0, 1
    while at < len(body):
        if stream.eof and encoding != "gzip":
            return
        if stream.eof:
            stream, members = zlib.decompressobj(wbits), members + 1
            if members > MAX_GZIP_MEMBERS:
                raise zlib.error(f"it has more than {MAX_GZIP_MEMBERS} members")
        given = body[at : at + INPUT_BYTES]
        yield stream.decompress(given, PIECE_BYTES)
        at += len(given) - len(stream.unconsumed_tail or stream.unused_data)
    while body and not stream.eof:
        if not (piece := stream.decompress(b"", PIECE_BYTES)):
            raise zlib.error("the stream ends early")
        yield piece
