"""Loops over the text of a row group: its token hashes, its trigrams, and the split-block Bloom filter.

A token is a run of ASCII letters, digits and `_`, letters folded to lower case; FOLD maps a byte to its folded
form, or to 0 between tokens. SYMBOL maps a byte to one of 64 classes for trigrams.
Source of the filter: Apache Parquet, BloomFilter.md (split block, eight words of 32 bits).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

_PRIME = np.uint64(0x100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)
_RECENT = 2048


@njit(nogil=True, cache=True)
def _insert(table: Hashes, mask: Any, value: Any) -> bool:
    """Put a hash into an open-addressing set (0 is a free place); whether it was new."""
    place = np.int64((value >> np.uint64(20)) & mask)
    while True:
        there = table[place]
        if there == value:
            return False
        if there == 0:
            table[place] = value
            return True
        place = (place + 1) & np.int64(mask)


@njit(nogil=True, cache=True)
def _grown(table: Hashes) -> Hashes:
    """The same set with four times the room."""
    bigger = np.zeros(table.size * 4, np.uint64)
    mask = np.uint64(bigger.size - 1)
    for value in table:
        if value != 0:
            _insert(bigger, mask, value)
    return bigger


@njit(nogil=True, cache=True)
def token_hashes(data: Bytes, offsets: Offsets, fold: Bytes, table: Hashes) -> Hashes:
    """The distinct token hashes of rows offsets[i]:offsets[i+1] of `data`, put into the set `table`; returns the set.

    `table`: uint64[power of two], kept at most half full; a larger one comes back where it had to grow. Words that
    come again soon are told apart in a small table that stays in the core's first cache.
    """
    mask = np.uint64(table.size - 1)
    recent = np.zeros(_RECENT, np.uint64)
    used = 0
    for value in table:
        used += value != 0
    for row in range(offsets.size - 1):
        h = _BASIS
        inside = False
        end = offsets[row + 1]
        for i in range(offsets[row], end + 1):
            c = fold[data[i]] if i < end else np.uint8(0)
            if c:
                h = (h ^ np.uint64(c)) * _PRIME
                inside = True
            elif inside:
                place = np.int64(h >> np.uint64(40)) & (_RECENT - 1)
                if recent[place] != h or h == 0:
                    recent[place] = h
                    used += _insert(table, mask, _finish(h))
                    if used * 2 > table.size:
                        table = _grown(table)
                        mask = np.uint64(table.size - 1)
                h = _BASIS
                inside = False
    return table


@njit(nogil=True, cache=True)
def id_hashes(raw: Bytes, width: Any, digits: Bytes, table: Hashes) -> Hashes:
    """The hashes of ids of `width` bytes each as tokens of hex digits, put into the set `table`; returns the set."""
    mask = np.uint64(table.size - 1)
    used = 0
    for value in table:
        used += value != 0
    for start in range(0, raw.size, width):
        h = _BASIS
        for i in range(start, start + width):
            h = (h ^ np.uint64(digits[raw[i] >> 4])) * _PRIME
            h = (h ^ np.uint64(digits[raw[i] & 15])) * _PRIME
        used += _insert(table, mask, _finish(h))
        if used * 2 > table.size:
            table = _grown(table)
            mask = np.uint64(table.size - 1)
    return table


@njit(nogil=True, cache=True)
def mark_codes(codes: npt.NDArray[np.int32], seen: Bytes) -> None:
    """Mark in `seen` each code that occurs."""
    for code in codes:
        seen[code] = 1


@njit(nogil=True, cache=True)
def _finish(h: Any) -> Any:
    """Spread the hash over all bits; never 0."""
    h = (h ^ (h >> _SHIFT)) * _MIX
    h = h ^ (h >> _SHIFT)
    return h if h != 0 else np.uint64(1)


@njit(nogil=True, cache=True)
def trigrams(data: Bytes, offsets: Offsets, symbol: Bytes, seen: Bytes) -> None:
    """Mark in seen[2**18] each trigram of symbols within a row."""
    for row in range(offsets.size - 1):
        start = offsets[row]
        end = offsets[row + 1]
        if end - start < 3:
            continue
        gram = (np.int32(symbol[data[start]]) << 6) | np.int32(symbol[data[start + 1]])
        for i in range(start + 2, end):
            gram = ((gram << 6) | np.int32(symbol[data[i]])) & 0x3FFFF
            seen[gram] = 1


@njit(nogil=True, cache=True)
def bloom_fill(hashes: Hashes, salts: npt.NDArray[np.uint32], words: npt.NDArray[np.uint32]) -> None:
    """Add each non-zero hash to the filter words: uint32[blocks, 8]."""
    blocks = np.uint64(words.shape[0])
    for value in hashes:
        if value == 0:
            continue
        block = np.int64(((value >> _SHIFT) * blocks) >> _SHIFT)
        key = np.uint32(value & np.uint64(0xFFFFFFFF))
        for i in range(8):
            words[block, i] |= np.uint32(1) << (np.uint32(key * salts[i]) >> np.uint32(27))


@njit(nogil=True, cache=True)
def _shape_hash(data: Bytes, start: Any, end: Any, classes: Bytes, most: Any) -> Any:
    """The hash of a line in which each word with a digit (1) is one and the same; 0 ends a word, 3 begins none."""
    cut = end - start > most
    end = min(end, start + most)
    h = _BASIS
    before = h  # the hash up to the word that is being read
    digit = False
    inside = False
    for i in range(start, end):
        kind = classes[data[i]]
        if kind == 0 or (kind == 3 and not inside):
            inside = False
            if digit:
                h = (before ^ np.uint64(1)) * _PRIME
                digit = False
            h = (h ^ np.uint64(data[i])) * _PRIME
            before = h
            continue
        inside = True
        if not digit:
            digit = kind == 1
            h = (h ^ np.uint64(data[i])) * _PRIME
    if digit or cut:
        h = (before ^ np.uint64(1)) * _PRIME
    return _finish(h)


@njit(nogil=True, cache=True)
def line_shapes(
    data: Bytes,
    offsets: Offsets,
    classes: Bytes,
    most: Any,
    codes: npt.NDArray[np.int32],
    first: Offsets,
    table: Hashes,
    numbers: npt.NDArray[np.int32],
    count: Any,
) -> int:
    """Number the shapes of lines: codes[line], -1 past as many as `first` holds; first[shape] is a line of it.

    `table` and `numbers`: zeros at first, a power of two, twice as many as `first`; they hold the `count` shapes of
    lines before. Returns how many shapes there are.
    """
    mask = np.int64(table.size - 1)
    for row in range(offsets.size - 1):
        h = _shape_hash(data, offsets[row], offsets[row + 1], classes, most)
        place = np.int64(h >> np.uint64(20)) & mask
        while table[place] != 0 and table[place] != h:
            place = (place + 1) & mask
        if table[place] == h:
            codes[row] = numbers[place]
        elif count < first.size:
            table[place] = h
            numbers[place] = count
            first[count] = row
            codes[row] = count
            count += 1
        else:
            codes[row] = -1
    return count


def warm() -> None:
    """Call every kernel with the types it is used with."""
    import pyarrow as pa

    from obs.columnar import kernels_pages
    from obs.logstore import kernels_fields, kernels_rows, kernels_text
    from obs.logstore.patterns.shapes import codes
    from obs.logstore.tokens import FOLD, GRAMS, HEX_DIGITS, SALTS, SYMBOL

    data = np.frombuffer(b"one two", np.uint8)
    offsets = np.array([0, 7], np.int64)
    table = token_hashes(data, offsets, FOLD, np.zeros(64, np.uint64))
    table = id_hashes(np.zeros(16, np.uint8), 16, HEX_DIGITS, table)
    mark_codes(np.zeros(1, np.int32), np.zeros(1, np.uint8))
    trigrams(data, offsets, SYMBOL, np.zeros(GRAMS, np.uint8))
    bloom_fill(table, SALTS, np.zeros((1, 8), np.uint32))
    codes(pa.array(["one 2 three"]))
    kernels_text.warm()
    kernels_rows.warm()
    kernels_pages.warm()
    kernels_fields.warm()
