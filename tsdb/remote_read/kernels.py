"""XOR chunks and samples of remote read, many at a time; `xor` is the plain twin of both."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
U8 = npt.NDArray[np.uint8]

CHUNK_ROOM, CHUNK_SAMPLE_ROOM = 32, 20
"""Bytes that a chunk takes at most, and each of its samples: 4 + 64 bits of time, 2 + 5 + 6 + 64 of value."""

SAMPLE_ROOM = 22
"""Bytes that a Sample takes at most: tag and size, tag and double, tag and ten bytes of time."""


@njit(nogil=True, cache=True)
def put(out: U8, at: int, value: Any, width: int) -> int:
    """Write the low bits of a uint64 at a bit's place in zeroed bytes; returns the place behind them."""
    while width > 0:
        free = 8 - (at & 7)
        n = min(free, width)
        piece = (value >> np.uint64(width - n)) & ((np.uint64(1) << np.uint64(n)) - np.uint64(1))
        out[at >> 3] |= np.uint8(piece << np.uint64(free - n))
        at += n
        width -= n
    return at


@njit(nogil=True, cache=True)
def put_varint(out: U8, at: int, value: Any) -> int:
    """Write a uint64 as a varint."""
    while value > np.uint64(127):
        at = put(out, at, (value & np.uint64(127)) | np.uint64(128), 8)
        value >>= np.uint64(7)
    return put(out, at, value, 8)


@njit(nogil=True, cache=True)
def put_delta(out: U8, at: int, delta: int) -> int:
    """Write a delta of deltas."""
    if delta == 0:
        return put(out, at, np.uint64(0), 1)
    bits = np.uint64(delta)
    if -(1 << 13) < delta <= 1 << 13:
        return put(out, put(out, at, np.uint64(0b10), 2), bits, 14)
    if -(1 << 16) < delta <= 1 << 16:
        return put(out, put(out, at, np.uint64(0b110), 3), bits, 17)
    if -(1 << 19) < delta <= 1 << 19:
        return put(out, put(out, at, np.uint64(0b1110), 4), bits, 20)
    return put(out, put(out, at, np.uint64(0b1111), 4), bits, 64)


@njit(nogil=True, cache=True)
def leading_zeros(value: Any) -> int:
    """Up to 31."""
    n = 0
    while n < 31 and not value >> np.uint64(63 - n):
        n += 1
    return n


@njit(nogil=True, cache=True)
def trailing_zeros(value: Any) -> int:
    """Of a number that is not zero."""
    n = 0
    while not (value >> np.uint64(n)) & np.uint64(1):
        n += 1
    return n


@njit(nogil=True, cache=True)
def encode_chunk(out: U8, at: int, t_ms: I64, bits: U64) -> int:
    """Write one chunk at a bit's place; returns the place behind it."""
    at = put(out, at, np.uint64(len(t_ms)), 16)
    at = put_varint(out, at, np.uint64((t_ms[0] << 1) ^ (t_ms[0] >> 63)))
    at = put(out, at, bits[0], 64)
    delta = np.int64(0)
    leading, trailing = 64, 64  # no window yet
    for i in range(1, len(t_ms)):
        step = t_ms[i] - t_ms[i - 1]
        at = put_varint(out, at, np.uint64(step)) if i == 1 else put_delta(out, at, step - delta)
        delta = step
        changed = bits[i] ^ bits[i - 1]
        if changed == 0:
            at = put(out, at, np.uint64(0), 1)
            continue
        lead, trail = leading_zeros(changed), trailing_zeros(changed)
        if lead >= leading and trail >= trailing:
            at = put(out, at, np.uint64(0b10), 2)
        else:
            leading, trailing = lead, trail
            at = put(out, at, np.uint64(0b11), 2)
            at = put(out, at, np.uint64(leading), 5)
            at = put(out, at, np.uint64(64 - leading - trailing), 6)
        at = put(out, at, changed >> np.uint64(trailing), 64 - leading - trailing)
    return at


@njit(nogil=True, cache=True)
def encode_chunks(out: U8, ends: I64, starts: I64, stops: I64, t_ms: I64, bits: U64) -> None:
    """Write the chunk of rows starts[k]:stops[k] for each k, one after the other, and where each ends, in bytes."""
    at = 0
    for k in range(len(starts)):
        place = encode_chunk(out, at * 8, t_ms[starts[k] : stops[k]], bits[starts[k] : stops[k]])
        at = (place + 7) >> 3
        ends[k] = at


@njit(nogil=True, cache=True)
def encode_samples(out: U8, ends: I64, starts: I64, stops: I64, t_ms: I64, bits: U64) -> None:
    """The same with `repeated Sample samples = 2`."""
    at = 0
    for k in range(len(starts)):
        for i in range(starts[k], stops[k]):
            out[at], out[at + 2] = 0x12, 0x09
            for b in range(8):
                out[at + 3 + b] = np.uint8((bits[i] >> np.uint64(8 * b)) & np.uint64(255))
            out[at + 11] = 0x10
            last, time = at + 12, np.uint64(t_ms[i])
            while time > np.uint64(127):
                out[last] = np.uint8((time & np.uint64(127)) | np.uint64(128))
                time >>= np.uint64(7)
                last += 1
            out[last] = np.uint8(time)
            out[at + 1] = last - at - 1
            at = last + 1
        ends[k] = at


def warm() -> None:
    """Compile both for the types they are called with."""
    starts, stops, t_ms = np.array([0]), np.array([3]), np.array([1, 2, 4])
    bits = np.array([1.0, 2.0, 2.5]).view(np.uint64)
    encode_chunks(np.zeros(128, np.uint8), np.zeros(1, np.int64), starts, stops, t_ms, bits)
    encode_samples(np.zeros(128, np.uint8), np.zeros(1, np.int64), starts, stops, t_ms, bits)
