"""Trace and span ids: hex text, bytes, and numbers that sort as the bytes do. Pure.

A trace id is two uint64 (high, low), a span id one; 0 is no id.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.errors import UserError

Words = npt.NDArray[np.uint64]
_HEX = re.compile(r"[0-9a-fA-F]{1,32}")
_FULL = re.compile(r"[0-9a-f]{32}")
_MIX = np.uint64(0x9E3779B97F4A7C15)


def parse_trace_id(text: str) -> bytes:
    """The 16 bytes of a trace id; shorter ones are 64-bit ids, or lost their zeros, and are padded on the left.

    Raises: UserError.
    """
    if not _HEX.fullmatch(text):
        raise UserError(f"cannot read trace id {text[:80]!r}: it is not 1 to 32 hex digits; give one as traces show it")
    found = bytes.fromhex(text.zfill(32))
    if not any(found):
        raise UserError(f"cannot read trace id {text!r}: the all-zero trace id names no trace; give another")
    return found


def padded_id(text: str, digits: int) -> str:
    """An id as it is stored: lower case, padded on the left; text that is no id as it stands."""
    return text.lower().zfill(digits) if _HEX.fullmatch(text) else text


def full_id(text: str) -> bool:
    """Whether text is a trace id as `padded_id` writes it."""
    return _FULL.fullmatch(text) is not None


def id_words(trace_id: bytes) -> tuple[np.uint64, np.uint64]:
    """A trace id as (high, low)."""
    return np.uint64(int.from_bytes(trace_id[:8], "big")), np.uint64(int.from_bytes(trace_id[8:], "big"))


def words_id(high: Any, low: Any) -> bytes:
    """The way back."""
    return int(high).to_bytes(8, "big") + int(low).to_bytes(8, "big")


def _raw(column: pa.ChunkedArray | pa.Array, words: int) -> npt.NDArray[Any]:
    """The bytes of a fixed-size binary column as big-endian numbers: >u8[rows, words]."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = []
    for chunk in chunks:
        if len(chunk):
            data = np.frombuffer(chunk.buffers()[1], dtype=">u8")
            parts.append(data[chunk.offset * words : (chunk.offset + len(chunk)) * words].reshape(-1, words))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros((0, words), dtype=">u8")


def trace_words(column: pa.ChunkedArray | pa.Array) -> tuple[Words, Words]:
    """A column of trace ids as (high, low): uint64[rows] each."""
    raw = _raw(column, 2)
    return raw[:, 0].astype(np.uint64), raw[:, 1].astype(np.uint64)


def span_words(column: pa.ChunkedArray | pa.Array) -> Words:
    """A column of span ids as uint64[rows]; 0 where null."""
    found = _raw(column, 1)[:, 0].astype(np.uint64)
    if column.null_count:
        found = np.where(np.asarray(column.is_null()), np.uint64(0), found)
    return found


def mixed(high: Words, low: Words) -> Words:
    """One number a trace, equal for equal ids and almost never for others."""
    return (high * _MIX) ^ low


def distinct_ids(high: Words, low: Words) -> tuple[Words, Words]:
    """Each of these ids once, sorted."""
    order = np.lexsort((low, high))
    high, low = high[order], low[order]
    first = np.append(True, (high[1:] != high[:-1]) | (low[1:] != low[:-1]))[: len(high)]
    return high[first], low[first]


def id_array(high: Words, low: Words) -> pa.Array:
    """Trace ids as an Arrow column."""
    raw = np.column_stack([high, low]).astype(">u8")
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(high), [None, pa.py_buffer(raw.tobytes())])


def rows_of_trace(column: pa.ChunkedArray | pa.Array, trace_id: bytes) -> npt.NDArray[np.int64]:
    """Positions at which a column of trace ids holds this one."""
    wanted = np.frombuffer(trace_id, dtype=">u8")
    raw = _raw(column, 2)
    return np.flatnonzero((raw[:, 1] == wanted[1]) & (raw[:, 0] == wanted[0]))
