"""Loops over texts as Arrow holds them: taken from Parquet pages, searched for a text, picked by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.core import types

from obs.columnar.kernels_pages import levels, size_at

Bytes = npt.NDArray[np.uint8]
Offsets32 = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

_memmem: Any = types.ExternalFunction("memmem", types.intp(types.intp, types.uintp, types.intp, types.uintp))
"""libc's search, many bytes at a time: about 6 GB/s where the text is rare. Source: memmem(3)."""


_memcpy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.uintp))


@njit(nogil=True, cache=True)
def plain_texts(page: Bytes, offsets: Offsets32, there: Bytes, texts: Bytes, filled: Any) -> Any:
    """Copy the values of a PLAIN page to texts[filled:], their ends to offsets[1:]; there[i] is 0 for a null.

    Returns how much of `texts` is filled then, -1 where the page is broken.
    """
    at = levels(page, there)
    if at < 0:
        return -1
    offsets[0] = filled
    base, to = page.ctypes.data, texts.ctypes.data
    for row in range(there.size):
        if there[row]:
            size = size_at(page, at)
            if size < 0 or filled + size > texts.size:
                return -1
            at += 4
            _memcpy(to + filled, base + at, size)
            at += size
            filled += size
        offsets[row + 1] = filled
    return filled


@njit(nogil=True, cache=True)
def texts_holding(
    page: Bytes,
    there: Bytes,
    needle: Bytes,
    first: Any,
    rows: Rows,
    offsets: Offsets32,
    texts: Bytes,
    found: Rows,
) -> bool:
    """Add those values of a PLAIN page that hold `needle`: rows[i], and their texts as an Arrow array has them.

    `first`: the row of the page's first value; `found`: how many are there already, and how many bytes. False where the
    page is broken before the last of them.
    """
    at = levels(page, there)
    if at < 0:
        return False
    base, to = page.ctypes.data, texts.ctypes.data
    search, row = at, 0
    while search + needle.size <= page.size:
        hit = _memmem(base + search, page.size - search, needle.ctypes.data, needle.size)
        if hit == 0:
            return True
        place = hit - base
        while True:  # to the value that the place is in
            while row < there.size and not there[row]:
                row += 1
            size = size_at(page, at) if row < there.size else -1
            if size < 0:
                return False
            if at + 4 + size > place:
                break
            at += 4 + size
            row += 1
        if place < at + 4 or place + needle.size > at + 4 + size:
            search = place + 1
            continue
        filled = found[1]
        if filled + size > texts.size or found[0] >= rows.size:
            return False
        _memcpy(to + filled, base + at + 4, size)
        rows[found[0]] = first + row
        found[0] += 1
        found[1] = filled + size
        offsets[found[0]] = found[1]
        at += 4 + size
        row += 1
        search = at
    return True


@njit(nogil=True, cache=True)
def rows_holding(data: Bytes, offsets: Offsets32, needle: Bytes, hits: npt.NDArray[np.bool_]) -> None:
    """Mark in `hits` each row offsets[i]:offsets[i+1] of `data` that holds `needle`, which is not empty."""
    base = data.ctypes.data
    at = np.int64(offsets[0])
    end = np.int64(offsets[-1])
    row = 0
    while at < end:
        found = _memmem(base + at, end - at, needle.ctypes.data, needle.size)
        if found == 0:
            return
        place = found - base
        while offsets[row + 1] <= place:
            row += 1
        if place + needle.size <= offsets[row + 1]:
            hits[row] = True
            at = np.int64(offsets[row + 1])
        else:
            at = place + 1


def warm() -> None:
    """Call every kernel with the types it is used with."""
    page = np.frombuffer(b"\x02\0\0\0\x02\x01\x01\0\0\0x", np.uint8)
    offsets = np.zeros(2, np.int32)
    plain_texts(page, offsets, np.ones(1, np.uint8), np.zeros(8, np.uint8), 0)
    word, texts = np.frombuffer(b"x", np.uint8), np.zeros(8, np.uint8)
    texts_holding(page, np.ones(1, np.uint8), word, 0, np.zeros(1, np.int64), offsets, texts, np.zeros(2, np.int64))
    offsets.flags.writeable = False
    rows_holding(page, offsets, word, np.zeros(1, np.bool_))
