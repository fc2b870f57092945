"""Numbers and headers of pages as Parquet writes them: what every reader of pages of our own begins with.

Source: Apache Parquet, parquet.thrift (PageHeader); Apache Thrift, compact protocol.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

TYPE, SIZE, PACKED, VALUES, ENCODING, HEADER_FIELDS = range(6)
"""What `page_header` finds: the page's kind, its bytes, its packed bytes, its values and how they are encoded."""

_DEEPEST = 8
_TRUE, _FALSE, _BYTE, _I16, _I64, _BINARY, _STRUCT = 1, 2, 3, 4, 6, 8, 12
_DATA_PAGE, _DICTIONARY_PAGE = 5, 7


@njit(nogil=True, cache=True)
def varint(data: U8, at: int, stop: int) -> tuple[int, int]:
    """A number in groups of seven bits, and where it ends; -1 where the data does before."""
    value: Any = 0
    shift = 0
    while at < stop and shift < 64:
        byte = np.int64(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return 0, -1


@njit(nogil=True, cache=True)
def signed(data: U8, at: int, stop: int) -> tuple[int, int]:
    """The same of a number whose sign is its lowest bit."""
    value, at = varint(data, at, stop)
    return np.int64(np.uint64(value) >> np.uint64(1)) ^ -(value & 1), at


@njit(nogil=True, cache=True)
def page_header(data: U8, at: int, found: I64) -> int:
    """Where the header of a page ends that begins at `at`, -1 where it is none.

    `found`: int64[HEADER_FIELDS], -1 where the header does not say.
    """
    found[:] = -1
    numbers, around = np.zeros(_DEEPEST, np.int64), np.zeros(_DEEPEST, np.int64)
    depth = 0
    stop = len(data)
    while 0 <= at < stop:
        byte = np.int64(data[at])
        at += 1
        if byte == 0:
            if depth == 0:
                return at
            depth -= 1
            continue
        step, kind = byte >> 4, byte & 15
        if step:
            numbers[depth] += step
        else:
            numbers[depth], at = signed(data, at, stop)
            if at < 0:
                return -1
        number = numbers[depth]
        if kind == _TRUE or kind == _FALSE:  # it stands in the field's head
            continue
        if kind == _BYTE:
            at += 1
        elif _I16 <= kind <= _I64:
            value, at = signed(data, at, stop)
            if depth == 0 and 1 <= number <= 3:
                found[number - 1] = value
            elif depth == 1 and (around[1] == _DATA_PAGE or around[1] == _DICTIONARY_PAGE) and 1 <= number <= 2:
                found[number + 2] = value
        elif kind == _BINARY:
            size, at = varint(data, at, stop)
            if at < 0 or size < 0 or size > stop - at:
                return -1
            at += size
        elif kind == _STRUCT and depth + 1 < _DEEPEST:
            depth += 1
            numbers[depth], around[depth] = 0, number
        else:
            return -1
    return -1
