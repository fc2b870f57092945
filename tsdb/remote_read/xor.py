"""XOR chunks in plain Python: what serves while the kernels compile, and what tests compare them with.

A chunk is the number of its samples, then times as deltas of deltas and values as the bits that changed.
Source: prometheus tsdb/docs/format/chunks.md, "XOR chunk data".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from obs.tsdb.remote_read.bits import Bits, fits
from obs.tsdb.remote_read.wire import MASK_64, varint, zigzag

DELTA_WIDTHS = ((0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20))
"""Prefix, its bits, and the bits of a delta of deltas behind it; others are 1111 and 64 bits."""

MOST_LEADING = 31
"""Leading zeros that five bits can tell."""


def encode_chunk(t_ms: Sequence[int], bits: Sequence[int]) -> bytes:
    """Samples, at most 65,535, with rising times; values as the bits of doubles, signed or not."""
    out = Bits()
    out.put(len(t_ms), 16)
    out.put_bytes(varint(zigzag(t_ms[0])))
    out.put(bits[0], 64)
    delta = 0
    window: tuple[int, int] | None = None
    for i in range(1, len(t_ms)):
        step = t_ms[i] - t_ms[i - 1]
        if i == 1:
            out.put_bytes(varint(step))
        else:
            _put_delta(out, step - delta)
        delta = step
        window = _put_changed(out, (bits[i] ^ bits[i - 1]) & MASK_64, window)
    return out.to_bytes()


def _put_delta(out: Bits, delta: int) -> None:
    if delta == 0:
        out.put(0, 1)
        return
    for prefix, size, width in DELTA_WIDTHS:
        if fits(delta, width):
            out.put(prefix, size)
            out.put(delta, width)
            return
    out.put(0b1111, 4)
    out.put(delta, 64)


def _put_changed(out: Bits, changed: int, window: tuple[int, int] | None) -> tuple[int, int] | None:
    """The bits of a value that changed; (leading, trailing) zeros of the window that the next one may share."""
    if changed == 0:
        out.put(0, 1)
        return window
    leading = min(64 - changed.bit_length(), MOST_LEADING)
    trailing = (changed & -changed).bit_length() - 1
    if window is not None and leading >= window[0] and trailing >= window[1]:
        out.put(0b10, 2)
        out.put(changed >> window[1], 64 - window[0] - window[1])
        return window
    width = 64 - leading - trailing
    out.put(0b11, 2)
    out.put(leading, 5)
    out.put(width, 6)  # 64 is written as 0
    out.put(changed >> trailing, width)
    return leading, trailing


def encode_samples(t_ms: Iterable[int], bits: Iterable[int]) -> bytes:
    """`repeated Sample samples = 2`: 1 value, 2 timestamp."""
    out = bytearray()
    for t, b in zip(t_ms, bits, strict=True):
        sample = b"\x09" + (b & MASK_64).to_bytes(8, "little") + b"\x10" + varint(t)
        out += b"\x12" + bytes([len(sample)]) + sample
    return bytes(out)
