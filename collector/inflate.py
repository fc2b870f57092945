"""Content encodings: a body's bytes as they came → the bytes that were meant, never more than a limit.

Streams are read only up to the limit, so a bomb costs what the limit allows and no more.
"""

from __future__ import annotations

import io
import zlib

import pyarrow as pa

from obs.errors import TooLarge, UnsupportedMedia, UserError

ENCODINGS = ("identity", "gzip", "deflate", "zstd")


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """`body` decoded by HTTP content encoding `encoding` ("" is identity).

    Raises: TooLarge over `limit` bytes, UnsupportedMedia for other encodings, UserError for damaged streams.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ENCODINGS:
        raise UnsupportedMedia(
            f"cannot read content encoding {encoding!r}: not supported; send one of {', '.join(ENCODINGS)}"
        )
    try:
        data = _zstd(body, limit) if encoding == "zstd" else _zlib(body, encoding, limit)
    except (OSError, zlib.error, pa.ArrowInvalid) as e:
        raise UserError(f"cannot inflate {encoding} body of {len(body)} bytes: {e}; send it whole") from None
    if len(data) > limit:
        raise TooLarge(f"cannot take {encoding} body of {len(body)} bytes: it inflates to more than {limit} bytes")
    return data


def _zstd(body: bytes, limit: int) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(body), "zstd") as stream:
        return bytes(stream.read(limit + 1))


def _zlib(body: bytes, encoding: str, limit: int) -> bytes:
    """gzip (any number of members), or deflate with or without its zlib header (both are in use)."""
    raw_deflate = encoding == "deflate" and (body[:1] or b"\0")[0] & 0x0F != 8
    wbits = 31 if encoding == "gzip" else -15 if raw_deflate else 15
    out = io.BytesIO()
    while body:
        stream = zlib.decompressobj(wbits)
        out.write(stream.decompress(body, limit + 1 - out.tell()))
        if out.tell() > limit:
            break
        if not stream.eof:
            raise zlib.error("the stream ends early")
        body = stream.unused_data if encoding == "gzip" else b""
    return out.getvalue()
