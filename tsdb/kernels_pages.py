"""Loops over the pages of a column of integers: where they are, and their values, DELTA_BINARY_PACKED.

Source: Apache Parquet, Encodings.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from obs.columnar.kernels_headers import (
    ENCODING,
    HEADER_FIELDS,
    PACKED,
    SIZE,
    TYPE,
    VALUES,
    page_header,
    signed,
    varint,
)
from obs.tsdb.compiled import read_only
from obs.tsdb.kernels_words import bytes_at, load

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

MOST_OF_BLOCK = 1 << 20
"""Values of a block: writers use 128. No product or sum of what a broken page says can then overflow."""

AT, LENGTH, UNPACKED, ROWS, PAGE_FIELDS = range(5)
"""Of a page where its bytes begin and how many they are, how many they are unpacked, and how many rows these hold."""

_DATA_PAGE, _DELTAS = 0, 5
_LEVELS_SIZE = 4
_NARROW = 57
"""Bits of a number that lies in one word, whichever bit of a byte it begins with."""


@njit(nogil=True, cache=True)
def pages_with(chunk: U8, rows: int, first: int, stop: int, found: I64) -> tuple[int, int, int]:
    """The pages of a column of `rows` rows that hold any of first:stop: how many, and the first row of the first.

    Then the bytes of all, unpacked. -1 where a page is of another kind, or where there are more than `found`
    (int64[page, PAGE_FIELDS]) has room for.
    """
    header = np.empty(HEADER_FIELDS, np.int64)
    at = row = count = begin = unpacked = 0
    while row < stop:
        at = page_header(chunk, at, header)
        size, packed, values = header[SIZE], header[PACKED], header[VALUES]
        if at < 0 or header[TYPE] != _DATA_PAGE or header[ENCODING] != _DELTAS or not 0 < values <= rows - row:
            return -1, 0, 0
        if not (_LEVELS_SIZE < size <= 32 * rows + 4096 and 0 < packed <= len(chunk) - at):
            return -1, 0, 0
        if row + values > first:
            if count == len(found):
                return -1, 0, 0
            begin = begin if count else row
            found[count, AT], found[count, LENGTH] = at, packed
            found[count, UNPACKED], found[count, ROWS] = size, values
            count, unpacked = count + 1, unpacked + size
        at += packed
        row += values
    return count, begin, unpacked


@njit(nogil=True, cache=True)
def unpack(address: int, width: int, low: int, value: int, out: I64) -> int:
    """Sums of deltas `width` bits wide, from an address on, each `low` more than it says; returns the last sum.

    Two words may be read from where the last begins.
    """
    total: Any = value
    mask = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - width)
    bit = 0
    if width <= _NARROW:
        for i in range(len(out)):
            total += low + np.int64((load(address + (bit >> 3)) >> np.uint64(bit & 7)) & mask)
            out[i] = total
            bit += width
        return total
    one = np.uint64(1)
    for i in range(len(out)):
        at, shift = address + ((bit >> 6) << 3), np.uint64(bit & 63)
        packed = (load(at) >> shift) | ((load(at + 8) << (np.uint64(63) - shift)) << one)
        total += low + np.int64(packed & mask)
        out[i] = total
        bit += width
    return total


@njit(nogil=True, cache=True)
def deltas(data: U8, at: int, values: int, skip: int, out: I64) -> int:
    """Decode DELTA_BINARY_PACKED values, `values` in all, from `at` on: those behind the first `skip` fill `out`.

    Returns how far it read, -1: broken.
    """
    stop = len(data)
    block, at = varint(data, at, stop)
    parts, at = varint(data, at, stop) if at >= 0 else (0, -1)
    total, at = varint(data, at, stop) if at >= 0 else (0, -1)
    value, at = signed(data, at, stop) if at >= 0 else (0, -1)
    if at < 0 or not 0 < parts <= block <= MOST_OF_BLOCK or block % (32 * parts) or total != values:
        return -1
    per, needed, start = block // parts, skip + len(out), np.int64(data.ctypes.data)
    if needed > total:
        return -1
    beside, tail = np.empty(per, np.int64), np.empty(0, np.uint8)
    if needed and not skip:
        out[0] = value
    row = 1
    while row < needed:
        low, at = signed(data, at, stop)
        widths = at
        if at < 0 or at + parts > stop:
            return -1
        at += parts
        for part in range(parts):
            if row >= needed:
                break
            width = np.int64(data[widths + part])
            rows, size = min(per, total - row), per * width // 8
            if width > 64 or at + size > stop:
                return -1
            inside = row >= skip and row + rows <= needed
            target = out[row - skip : row - skip + rows] if inside else beside[:rows]
            if not width:
                for i in range(rows):
                    target[i] = value + low * (i + 1)
                value += low * rows
            elif at + size + 16 <= stop:
                value = unpack(start + at, width, low, value, target)
            else:  # no byte behind the page is read
                if len(tail) < size + 16:
                    tail = np.zeros(size + 16, np.uint8)
                tail[:size] = data[at : at + size]
                value = unpack(np.int64(tail.ctypes.data), width, low, value, target)
            if not inside:
                first, last = max(row, skip), min(row + rows, needed)
                if first < last:
                    out[first - skip : last - skip] = target[first - row : last - row]
            at += size
            row += rows
    return at


@njit(nogil=True, cache=True)
def decode(address: int, pages: I64, begin: int, first: int, out: I64) -> bool:
    """Decode pages (see `pages_with`) that lie unpacked behind each other, into `out`; False: one is broken.

    They begin at row `begin`, and `out` at row `first`. A page is its levels, which say that no value is null, then the
    values.
    """
    row, stop = begin, first + len(out)
    for page in range(len(pages)):
        data = bytes_at(address, pages[page, UNPACKED])
        values, skip = pages[page, ROWS], max(first - row, 0)
        at: Any = _LEVELS_SIZE
        for i in range(_LEVELS_SIZE):
            at += np.int64(data[i]) << (8 * i)
        some = out[row + skip - first : min(row + values, stop) - first]
        if at > len(data) or deltas(data, at, values, skip, some) < 0:
            return False
        row += values
        address += len(data)
    return True


@njit(nogil=True, cache=True)
def quotients(ints: I64, power: float) -> F64:
    """Each integer divided by a power of ten, in the same memory."""
    out = ints.view(np.float64)
    if power == 1.0:
        for i in range(len(ints)):
            out[i] = float(ints[i])
    else:
        for i in range(len(ints)):
            out[i] = ints[i] / power
    return out


def warm() -> None:
    """Compile all for the types they are called with."""
    found = np.zeros((1, PAGE_FIELDS), np.int64)
    none = read_only(np.zeros(1, np.uint8))
    pages_with(none, 1, 0, 1, found)
    decode(0, found[:0], 0, 0, np.zeros(1, np.int64))
    quotients(np.ones(2, np.int64), 10.0)
