"""Loops over the pages of a Parquet column: where each lies, which values are there, and which are a given text.

Source: Apache Parquet, Encodings.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from obs.columnar import kernels_headers as header
from obs.columnar.kernels_headers import page_header, varint

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]

Mask = npt.NDArray[np.bool_]

BROKEN, OTHER_KIND = -1, -2
"""What `pages` returns instead of a count: headers that cannot be, or a page that is none of the kinds below."""

ABSENT = -3
"""What `code_of` returns where a dictionary has no such text."""

AT, PACKED, SIZE, ROWS, KIND, PAGE_FIELDS = range(6)

PLAIN, CODED, DICTIONARY = range(3)
"""Kinds of pages: data of version 1 as it is or as codes into the dictionary, and the dictionary."""


@njit(nogil=True, cache=True)
def _kind(kind: Any, encoding: Any) -> Any:
    """The kind of a page by what its header says; OTHER_KIND where it is none of ours."""
    if kind == 0 and encoding == 0:
        return PLAIN
    if kind == 0 and (encoding == 2 or encoding == 8):
        return CODED
    return DICTIONARY if kind == 2 and (encoding == 0 or encoding == 2) else OTHER_KIND


@njit(nogil=True, cache=True)
def pages(data: Bytes, rows: Any, largest: Any, found: Index) -> Any:
    """Where the pages of a column chunk of so many rows lie: found[page, field]; returns how many there are."""
    head = np.empty(header.HEADER_FIELDS, np.int64)
    at, row, count = np.int64(0), np.int64(0), 0
    while row < rows:
        at = page_header(data, at, head)
        if at < 0:
            return BROKEN
        kind = _kind(head[header.TYPE], head[header.ENCODING])
        if kind == OTHER_KIND or (kind == DICTIONARY and count):
            return OTHER_KIND
        least = 0 if kind == DICTIONARY else 1
        size, packed, values = head[header.SIZE], head[header.PACKED], head[header.VALUES]
        fits = least <= size <= largest and least <= packed <= data.size - at and least <= values
        if not fits or (kind != DICTIONARY and values > rows - row):
            return BROKEN
        found[count, AT], found[count, KIND] = at, kind
        found[count, PACKED], found[count, SIZE], found[count, ROWS] = packed, size, values
        at += packed
        row += 0 if kind == DICTIONARY else values
        count += 1
    return count


@njit(nogil=True, cache=True)
def levels(page: Bytes, there: Bytes) -> Any:
    """Which values of an optional column are there, from the definition levels that a page begins with.

    Returns where they end, -1 where they are broken. Source: Apache Parquet, Encodings.md, RLE/bit-packing hybrid.
    """
    if page.size < 4:
        return -1
    end = 4 + (np.int64(page[0]) | np.int64(page[1]) << 8 | np.int64(page[2]) << 16 | np.int64(page[3]) << 24)
    if end > page.size:
        return -1
    at: Any = 4
    row: Any = 0
    while row < there.size:
        lead, at = varint(page, at, end)
        count = lead >> 1
        if at < 0 or not 0 < count <= there.size:
            return -1
        if lead & 1:
            if at + count > end:
                return -1
            for i in range(min(count * 8, there.size - row)):
                there[row + i] = (page[at + (i >> 3)] >> np.uint8(i & 7)) & 1
            row += count * 8
            at += count
        else:
            if at >= end:
                return -1
            there[row : row + count] = page[at]
            row += count
            at += 1
    return end


@njit(nogil=True, cache=True)
def size_at(page: Bytes, at: Any) -> Any:
    """The bytes of the value whose length stands at `at`; -1 where the page ends before it does."""
    if at + 4 > page.size:
        return -1
    size = (
        np.int64(page[at]) | np.int64(page[at + 1]) << 8 | np.int64(page[at + 2]) << 16 | np.int64(page[at + 3]) << 24
    )
    return size if at + 4 + size <= page.size else -1


@njit(nogil=True, cache=True)
def _same(page: Bytes, at: Any, text: Bytes) -> Any:
    """Whether the bytes at a place are those of the text."""
    for i in range(text.size):
        if page[at + i] != text[i]:
            return False
    return True


@njit(nogil=True, cache=True)
def equal_plain(page: Bytes, there: Bytes, text: Bytes, hits: Mask) -> bool:
    """Mark in `hits` the values of a PLAIN page that are the text; false where the page is broken.

    Lengths are compared first: most values differ by these or their first byte.
    """
    at = levels(page, there)
    return at >= 0 and _mark_values(page, at, there, text, hits)


@njit(nogil=True, cache=True)
def _mark_values(page: Bytes, at: Any, there: Bytes, text: Bytes, hits: Mask) -> bool:
    for row in range(there.size):
        if there[row]:
            size = size_at(page, at)
            if size < 0:
                return False
            hits[row] = size == text.size and _same(page, at + 4, text)
            at += 4 + size
    return True


@njit(nogil=True, cache=True)
def code_of(page: Bytes, values: Any, text: Bytes) -> Any:
    """The place of the text in a dictionary of so many values; ABSENT, or BROKEN where the page is."""
    at: Any = np.int64(0)
    for code in range(values):
        size = size_at(page, at)
        if size < 0:
            return BROKEN
        if size == text.size and _same(page, at + 4, text):
            return code
        at += 4 + size
    return ABSENT


@njit(nogil=True, cache=True)
def equal_codes(page: Bytes, there: Bytes, code: Any, hits: Mask) -> bool:
    """Mark in `hits` the values of a page of codes that have this one; false where the page is broken."""
    at: Any = levels(page, there)
    if at < 0 or at >= page.size:
        return False
    width = np.int64(page[at])
    if width > 32:
        return False
    at += 1
    row: Any = _next(there, 0)
    while row < there.size:
        lead, at = varint(page, at, page.size)
        count = lead >> 1
        if at < 0 or not 0 < count <= there.size:
            return False
        if lead & 1:
            if count * width > page.size - at:
                return False
            row = _mark_packed(page, at, width, count * 8, code, there, row, hits)
            at += count * width
        else:
            size = (width + 7) >> 3
            if at + size > page.size:
                return False
            value = np.int64(0)
            for i in range(size):
                value |= np.int64(page[at + i]) << (8 * i)
            at += size
            row = _mark_run(count, value == code, there, row, hits)
    return True


@njit(nogil=True, cache=True)
def _next(there: Bytes, row: Any) -> Any:
    """The first row from this one on that has a value."""
    while row < there.size and not there[row]:
        row += 1
    return row


@njit(nogil=True, cache=True)
def _mark_run(count: Any, same: Any, there: Bytes, row: Any, hits: Mask) -> Any:
    """A value that repeats; returns the row of the value after."""
    while count > 0 and row < there.size:
        hits[row] = same
        row = _next(there, row + 1)
        count -= 1
    return row


@njit(nogil=True, cache=True)
def _mark_packed(page: Bytes, at: Any, width: Any, count: Any, code: Any, there: Bytes, row: Any, hits: Mask) -> Any:
    """Values of `width` bits each, lowest bits first; returns the row of the value after."""
    mask = (np.int64(1) << width) - 1
    word, held = np.int64(0), 0
    for _ in range(count):
        while held < width:
            word |= np.int64(page[at]) << held
            at += 1
            held += 8
        if row >= there.size:
            break
        hits[row] = (word & mask) == code
        row = _next(there, row + 1)
        word >>= width
        held -= width
    return row


def warm() -> None:
    """Call every kernel with the types it is used with."""
    page, one, hits = (
        np.frombuffer(b"\x02\0\0\0\x02\x01\x01\0\0\0x", np.uint8),
        np.ones(1, np.uint8),
        np.zeros(1, np.bool_),
    )
    pages(np.frombuffer(b"\0", np.uint8), 1, 1, np.empty((1, PAGE_FIELDS), np.int64))
    text = np.frombuffer(b"x", np.uint8)
    levels(page, one)
    equal_plain(page, one, text, hits)
    code_of(page[6:], 1, text)
    equal_codes(page, one, 0, hits)
