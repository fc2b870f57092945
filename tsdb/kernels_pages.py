"""Loops over the values of a page of integers, DELTA_BINARY_PACKED.

Source: Apache Parquet, Encodings.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from obs.columnar.kernels_headers import HEADER_FIELDS, page_header, signed, varint
from obs.tsdb.compiled import read_only

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
U8 = npt.NDArray[np.uint8]

MOST_OF_BLOCK = 1 << 20
"""Values of a block: writers use 128. No product or sum of what a broken page says can then overflow."""


@njit(nogil=True, cache=True)
def unpack(words: U64, bit: int, width: int, low: int, value: int, out: I64) -> int:
    """Sums of deltas `width` bits wide, from a bit on, each `low` more than it says; returns the last sum."""
    total: Any = value
    mask = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - width)
    one = np.uint64(1)
    for i in range(len(out)):
        word, shift = bit >> 6, np.uint64(bit & 63)
        packed = (words[word] >> shift) | ((words[word + 1] << (np.uint64(63) - shift)) << one)
        total += low + np.int64(packed & mask)
        out[i] = total
        bit += width
    return total


@njit(nogil=True, cache=True)
def deltas(words: U64, data: U8, at: int, stop: int, out: I64) -> int:
    """Decode DELTA_BINARY_PACKED values from `at` on into the whole of `out`; returns where they end, -1: broken.

    `words`: the memory of `data`, with two words to spare behind `stop`.
    """
    block, at = varint(data, at, stop)
    parts, at = varint(data, at, stop) if at >= 0 else (0, -1)
    total, at = varint(data, at, stop) if at >= 0 else (0, -1)
    value, at = signed(data, at, stop) if at >= 0 else (0, -1)
    if at < 0 or not 0 < parts <= block <= MOST_OF_BLOCK or block % (32 * parts) or total != len(out):
        return -1
    per = block // parts
    if total:
        out[0] = value
    row = 1
    while row < total:
        low, at = signed(data, at, stop)
        widths = at
        if at < 0 or at + parts > stop:
            return -1
        at += parts
        for part in range(parts):
            if row >= total:
                break
            width = np.int64(data[widths + part])
            rows = min(per, total - row)
            if width > 64 or at + per * width // 8 > stop:
                return -1
            if width:
                value = unpack(words, at * 8, width, low, value, out[row : row + rows])
            else:
                for i in range(row, row + rows):
                    value += low
                    out[i] = value
            at += per * width // 8
            row += rows
    return at


@njit(nogil=True, cache=True)
def quotients(ints: I64, power: float, out: Any) -> None:
    """Each integer divided by a power of ten."""
    if power == 1.0:
        for i in range(len(ints)):
            out[i] = float(ints[i])
    else:
        for i in range(len(ints)):
            out[i] = ints[i] / power


def warm() -> None:
    """Compile all for the types they are called with."""
    words = np.zeros(4, np.uint64)
    page_header(read_only(np.zeros(1, np.uint8)), 0, np.zeros(HEADER_FIELDS, np.int64))
    deltas(words, words.view(np.uint8), 0, 4, np.zeros(1, np.int64))
    quotients(np.ones(2, np.int64), 10.0, np.zeros(2))
