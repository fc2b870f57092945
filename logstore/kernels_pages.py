"""Loops over the pages of a Parquet column: where each lies, from the headers between them.

Source: Apache Parquet, parquet.thrift (PageHeader); Apache Thrift, compact protocol.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]

BROKEN, OTHER_KIND = -1, -2
"""What `pages` returns instead of a count: headers that cannot be, or pages that are not PLAIN of version 1."""

AT, PACKED, SIZE, ROWS, PAGE_FIELDS = range(5)

_TYPE, _ENCODING, _HEAD_FIELDS = PAGE_FIELDS, PAGE_FIELDS + 1, PAGE_FIELDS + 2
_DEEPEST = 8
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _BINARY, _STRUCT = 1, 2, 3, 4, 5, 6, 8, 12


@njit(nogil=True, cache=True)
def _varint(data: Bytes, at: Any) -> Any:
    """(value, where it ends): -1 where the bytes end before, or it is longer than any here."""
    value = np.int64(0)
    for i in range(9):
        if at + i >= data.size:
            break
        byte = np.int64(data[at + i])
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            return value, at + i + 1
    return value, np.int64(-1)


@njit(nogil=True, cache=True)
def _header(data: Bytes, at: Any, head: Index, numbers: Index) -> Any:
    """Read one header into `head`; returns where it ends, -1 where it is broken. `numbers`: of fields, by depth."""
    head[:] = -1
    depth = 0
    numbers[0] = 0
    while True:
        if at >= data.size:
            return np.int64(-1)
        byte = np.int64(data[at])
        at += 1
        if byte == 0:
            if depth == 0:
                return at
            depth -= 1
            continue
        value = np.int64(0)
        if byte >> 4:
            numbers[depth] += byte >> 4
        else:
            value, at = _varint(data, at)
            if at < 0:
                return np.int64(-1)
            numbers[depth] = (value >> 1) ^ -(value & 1)
        kind = byte & 15
        if kind == _STRUCT:
            depth += 1
            if depth == _DEEPEST:
                return np.int64(-1)
            numbers[depth] = 0
        elif kind == _BYTE:
            at += 1
        elif _I16 <= kind <= _BINARY and kind != 7:
            value, at = _varint(data, at)
            if at < 0 or (kind == _BINARY and value > data.size):
                return np.int64(-1)
            if kind == _BINARY:
                at += value
            else:
                _note(head, depth, numbers, (value >> 1) ^ -(value & 1))
        elif kind != _TRUE and kind != _FALSE:
            return np.int64(-1)


@njit(nogil=True, cache=True)
def _note(head: Index, depth: Any, numbers: Index, value: Any) -> None:
    """Keep a number of the page's header, or of the data page's in it."""
    if depth == 0:
        if numbers[0] == 1:
            head[_TYPE] = value
        elif numbers[0] == 2:
            head[SIZE] = value
        elif numbers[0] == 3:
            head[PACKED] = value
    elif depth == 1 and numbers[0] == 5:
        if numbers[1] == 1:
            head[ROWS] = value
        elif numbers[1] == 2:
            head[_ENCODING] = value


@njit(nogil=True, cache=True)
def pages(data: Bytes, rows: Any, largest: Any, found: Index) -> Any:
    """Where the pages of a column chunk of so many rows lie: found[page, field]; returns how many there are."""
    head, numbers = np.empty(_HEAD_FIELDS, np.int64), np.empty(_DEEPEST, np.int64)
    at, row, count = np.int64(0), np.int64(0), 0
    while row < rows:
        at = _header(data, at, head, numbers)
        if at < 0:
            return BROKEN
        if head[_TYPE] != 0 or head[_ENCODING] != 0:
            return OTHER_KIND
        fits = 0 < head[SIZE] <= largest and 0 < head[PACKED] <= data.size - at and 0 < head[ROWS] <= rows - row
        if not fits:
            return BROKEN
        found[count, AT] = at
        found[count, PACKED], found[count, SIZE], found[count, ROWS] = head[PACKED], head[SIZE], head[ROWS]
        at += head[PACKED]
        row += head[ROWS]
        count += 1
    return count


def warm() -> None:
    """Call every kernel with the types it is used with."""
    pages(np.frombuffer(b"\0", np.uint8), 1, 1, np.empty((1, PAGE_FIELDS), np.int64))
