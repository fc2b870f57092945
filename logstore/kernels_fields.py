"""Loops that find the values of wanted labels in lines of JSON and of logfmt, where a parser's answer is beyond doubt.

A label is `names[name_at[k] : name_at[k + 1]]`, found through `places` (`name_places`). Of each row `covered` says
whether the values found, data[start[k, row] : stop[k, row]] (start -1: none), are all that a parser would give these
labels. A row with anything odd is not covered: escapes in a wanted value or a key, a key twice, a number in exponents.
Source: RFC 8259; go-logfmt's grammar.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.core import types

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]

LABEL_BYTES = 256
DEPTH = 32
OBJECTS = 32
DIGITS = 40
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_KEY, _VALUE, _AFTER = 0, 1, 2


def _as_label(lowest: int, odd: bytes) -> Bytes:
    """The character of a label that each byte of a key becomes; 0 of one that ends the key or is odd."""
    table = np.zeros(256, np.uint8)
    for c in range(lowest, 127):
        letter = chr(c)
        table[c] = 0 if c in odd else c if letter.isalnum() else 95
    return table


def _plain(lowest: int, highest: int, odd: bytes) -> npt.NDArray[np.bool_]:
    """Whether each byte goes on within a value."""
    table = np.zeros(256, np.bool_)
    table[lowest : highest + 1] = True
    table[list(odd)] = False
    return table


_JSON_KEY, _LOGFMT_KEY = _as_label(32, b'"\\'), _as_label(33, b'"=')
_IN_STRING, _IN_WORD = _plain(32, 255, b'"\\'), _plain(33, 126, b'"')
_memcpy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.uintp))


@njit(nogil=True, cache=True)
def _hash(text: Bytes, start: Any, stop: Any) -> Any:
    """FNV-1a, 64 bits."""
    h = _BASIS
    for i in range(start, stop):
        h = (h ^ np.uint64(text[i])) * _PRIME
    return h


@njit(nogil=True, cache=True)
def name_places(names: Bytes, name_at: Index, places: Index) -> None:
    """Fill an open-addressing table (-1: free; a power of two, no less than twice the names) with names' positions."""
    mask = places.size - 1
    for k in range(name_at.size - 1):
        h = _hash(names, name_at[k], name_at[k + 1])
        place = np.int64(h >> np.uint64(20)) & mask
        while places[place] >= 0:
            place = (place + 1) & mask
        places[place] = k


@njit(nogil=True, cache=True)
def _find(label: Bytes, size: Any, h: Any, names: Bytes, name_at: Index, places: Index) -> Any:
    """Which name a label is, or -1."""
    mask = places.size - 1
    place = np.int64(h >> np.uint64(20)) & mask
    while places[place] >= 0:
        k = places[place]
        begin = name_at[k]
        if name_at[k + 1] - begin == size:
            i = 0
            while i < size and names[begin + i] == label[i]:
                i += 1
            if i == size:
                return k
        place = (place + 1) & mask
    return np.int64(-1)


@njit(nogil=True, cache=True)
def _spaces(data: Bytes, at: Any, end: Any) -> Any:
    while at < end and (data[at] == 32 or data[at] == 9 or data[at] == 10 or data[at] == 13):
        at += 1
    return at


@njit(nogil=True, cache=True)
def _number(data: Bytes, at: Any, end: Any) -> Any:
    """Where a number without an exponent ends; -1 where it is odd."""
    begin = at
    if data[at] == 45:
        at += 1
    digits = at
    while at < end and 48 <= data[at] <= 57:
        at += 1
    if at == digits or (data[digits] == 48 and at - digits > 1):
        return -1
    if at < end and data[at] == 46:
        point = at
        at += 1
        while at < end and 48 <= data[at] <= 57:
            at += 1
        if at == point + 1:
            return -1
    elif digits > begin and data[digits] == 48:
        return -1
    if at - begin > DIGITS or (at < end and (data[at] == 101 or data[at] == 69)):
        return -1
    return at


@njit(nogil=True, cache=True)
def _word(data: Bytes, at: Any, end: Any) -> Any:
    """Where true, false or null ends; -1 where it is none of them."""
    if end - at >= 4:
        a, b, c, d = data[at], data[at + 1], data[at + 2], data[at + 3]
        if a == 116 and b == 114 and c == 117 and d == 101:
            return at + 4
        if a == 110 and b == 117 and c == 108 and d == 108:
            return at + 4
        if end - at >= 5 and a == 102 and b == 97 and c == 108 and d == 115 and data[at + 4] == 101:
            return at + 5
    return -1


@njit(nogil=True, cache=True)
def _string(data: Bytes, at: Any, end: Any, plain: Any) -> Any:
    """Where a string that begins before `at` has its closing quote; -1 where it is odd, or `plain` and has escapes."""
    while at < end:
        c = data[at]
        if not _IN_STRING[c]:
            if c == 34:
                return at
            at += 1
            if c < 32 or plain or at >= end:
                return -1
            c = data[at]
            if not (c == 34 or c == 92 or c == 47 or c == 98 or c == 102 or c == 110 or c == 114 or c == 116):
                return -1
        at += 1
    return -1


@njit(nogil=True, cache=True)
def _key(data: Bytes, at: Any, end: Any, label: Bytes, size: Any, named: Any) -> Any:
    """Where the value behind a key begins, and the label's size with the key at its end (not where not `named`).

    (-1, 0) where the key is odd.
    """
    if at >= end or data[at] != 34:
        return -1, 0
    at += 1
    if size > 0 and named:
        label[size] = 95
        size += 1
    begin = at
    if named and at < end and 48 <= data[at] <= 57:
        label[size] = 95
        size += 1
    while at < end:
        c = _JSON_KEY[data[at]]
        if c == 0:
            break
        if named:
            label[size] = c
            size += 1
            if size + 3 > label.size:
                return -1, 0
        at += 1
    if at == begin or at >= end or data[at] != 34:
        return -1, 0
    at = _spaces(data, at + 1, end)
    if at >= end or data[at] != 58:
        return -1, 0
    return at + 1, size


@njit(nogil=True, cache=True)
def _scalar(data: Bytes, at: Any, end: Any, plain: Any) -> Any:
    """Where the text of a value that holds no other begins and ends, and what is behind it; begin -1: it is odd."""
    c = data[at]
    if c == 34:
        close = _string(data, at + 1, end, plain)
        return (at + 1, close, close + 1) if close >= 0 else (-1, 0, 0)
    close = _number(data, at, end) if c == 45 or 48 <= c <= 57 else _word(data, at, end)
    return (at, close, close) if close >= 0 else (-1, 0, 0)


@njit(nogil=True, cache=True)
def _named(
    label: Bytes, size: Any, row: Any, names: Bytes, name_at: Index, places: Index, odd: Any, seen: Index,
    objects: npt.NDArray[np.uint64], held: Any,
) -> Any:  # fmt: skip
    """Which name a label is (-1: none) and its hash; -2 where the row has it already, or as an object, or it is odd."""
    h = _hash(label, 0, size)
    for i in range(held):
        if objects[i] == h:
            return np.int64(-2), h
    k = _find(label, size, h, names, name_at, places)
    if k >= 0:
        if k >= odd or seen[k] == row:
            return np.int64(-2), h
        seen[k] = row
    return k, h


@njit(nogil=True, cache=True)
def _json_row(
    data: Bytes, at: Any, end: Any, row: Any, names: Bytes, name_at: Index, places: Index, odd: Any, start: Any,
    stop: Any, seen: Index, label: Bytes, above: Index, lists: Bytes, objects: npt.NDArray[np.uint64],
) -> bool:  # fmt: skip
    """One line; above[d]: the size of the label of the object at depth d, lists[d]: whether it is a list."""
    at = _spaces(data, at, end)
    if at >= end or data[at] != 123:
        return False
    at += 1
    above[1], lists[1] = 0, 0
    depth: Any = 1
    listed: Any = 0  # the depth of the outermost list
    held: Any = 0
    size: Any = 0
    h = np.uint64(0)
    k: Any = np.int64(-1)
    fresh, need = True, _KEY  # whether nothing stands in the innermost one yet, and what comes next
    while True:
        at = _spaces(data, at, end)
        if at >= end:
            return False
        c = data[at]
        if (need == _AFTER or fresh) and c == (93 if lists[depth] else 125):
            at += 1
            listed = 0 if depth == listed else listed
            depth -= 1
            fresh, need = False, _AFTER
            if depth == 0:
                return bool(_spaces(data, at, end) == end)
        elif need == _AFTER:
            if c != 44:
                return False
            at += 1
            need = _VALUE if lists[depth] else _KEY
        elif need == _KEY:
            fresh, need, k = False, _VALUE, np.int64(-1)
            at, size = _key(data, at, end, label, above[depth], listed == 0)
            if at < 0:
                return False
            if listed == 0:
                k, h = _named(label, size, row, names, name_at, places, odd, seen, objects, held)
                if k == -2:
                    return False
        elif c == 123 or c == 91:
            if depth + 1 >= DEPTH or (c == 123 and listed == 0 and held == OBJECTS):
                return False
            if c == 123 and listed == 0:
                objects[held] = h
                held += 1
            at += 1
            depth += 1
            above[depth], lists[depth] = size, c == 91
            listed = depth if c == 91 and listed == 0 else listed
            fresh, need = True, _VALUE if c == 91 else _KEY
        else:
            fresh, need = False, _AFTER
            begin, close, at = _scalar(data, at, end, k >= 0 and listed == 0)
            if begin < 0:
                return False
            if k >= 0 and listed == 0 and c != 110:
                start[k, row], stop[k, row] = begin, close


@njit(nogil=True, cache=True)
def json_fields(
    data: Bytes, offsets: Index, names: Bytes, name_at: Index, places: Index, odd: Any, start: Index, stop: Index,
    covered: npt.NDArray[np.bool_],
) -> None:  # fmt: skip
    """Find the values of names in JSON lines that are not covered yet; one with a name from `odd` on never is.

    `start` is -1 in rows that are not covered.
    """
    label, above, lists = np.empty(LABEL_BYTES, np.uint8), np.empty(DEPTH, np.int64), np.empty(DEPTH, np.uint8)
    objects, seen = np.empty(OBJECTS, np.uint64), np.full(name_at.size, -1, np.int64)
    for row in range(covered.size):
        if covered[row]:
            continue
        covered[row] = _json_row(
            data, offsets[row], offsets[row + 1], row, names, name_at, places, odd, start, stop, seen, label, above,
            lists, objects,
        )  # fmt: skip
        if not covered[row]:
            start[:, row] = -1


@njit(nogil=True, cache=True)
def _logfmt_row(
    data: Bytes, at: Any, end: Any, row: Any, names: Bytes, name_at: Index, places: Index, odd: Any, start: Any,
    stop: Any, seen: Index, label: Bytes,
) -> bool:  # fmt: skip
    while True:
        while at < end and data[at] == 32:
            at += 1
        if at >= end:
            return True
        size: Any = 0
        h = _BASIS
        begin = at
        if 48 <= data[at] <= 57:
            label[0] = 95
            size = 1
            h = (h ^ np.uint64(95)) * _PRIME
        while at < end:
            c = _LOGFMT_KEY[data[at]]
            if c == 0:
                break
            if size == label.size:
                return False
            label[size] = c
            h = (h ^ np.uint64(c)) * _PRIME
            size += 1
            at += 1
        if at == begin or (at < end and data[at] != 61 and data[at] != 32):
            return False
        k = _find(label, size, h, names, name_at, places)
        if k >= 0:
            if k >= odd or seen[k] == row:
                return False
            seen[k] = row
        if at >= end or data[at] == 32:
            continue  # a key alone: an empty value, which makes no label
        at += 1
        begin = at
        if at < end and data[at] == 34:
            begin += 1
            at = begin
            while at < end and data[at] != 34:
                if data[at] == 92:
                    at += 1
                    if k >= 0 or at >= end or data[at] == 10:
                        return False
                at += 1
            if at >= end or (at + 1 < end and data[at + 1] != 32):
                return False
            close = at
            at += 1
        else:
            while at < end and _IN_WORD[data[at]]:
                at += 1
            if at < end and data[at] != 32:
                return False
            close = at
        if k >= 0 and close > begin:
            start[k, row] = begin
            stop[k, row] = close


@njit(nogil=True, cache=True)
def logfmt_fields(
    data: Bytes, offsets: Index, names: Bytes, name_at: Index, places: Index, odd: Any, start: Index, stop: Index,
    covered: npt.NDArray[np.bool_],
) -> None:  # fmt: skip
    """The same of logfmt lines; an empty value is none."""
    label, seen = np.empty(LABEL_BYTES, np.uint8), np.full(name_at.size, -1, np.int64)
    for row in range(covered.size):
        if covered[row]:
            continue
        covered[row] = _logfmt_row(
            data, offsets[row], offsets[row + 1], row, names, name_at, places, odd, start, stop, seen, label
        )
        if not covered[row]:
            start[:, row] = -1


@njit(nogil=True, cache=True)
def cut_out(data: Bytes, start: Index, stop: Index, ends: npt.NDArray[np.int32], texts: Bytes) -> Any:
    """Copy data[start[i] : stop[i]] behind each other to `texts`, none where start is -1; ends[i + 1]: where it ends.

    Returns how many bytes of `texts` are filled; where they have no room, how many are needed, and nothing is copied.
    """
    base, to = data.ctypes.data, texts.ctypes.data
    total: Any = 0
    ends[0] = 0
    for i in range(start.size):
        if start[i] >= 0:
            total += stop[i] - start[i]
        ends[i + 1] = total
    if total > texts.size:
        return total
    for i in range(start.size):
        if start[i] >= 0:
            _memcpy(to + ends[i], base + start[i], stop[i] - start[i])
    return total


def warm() -> None:
    """Call every kernel with the types it is used with."""
    import pyarrow as pa

    from obs.logstore.linefields import PARSERS, find

    find(pa.array(['{"a":"b","c":{"d":[1]}}', "a=b"]), PARSERS, ["a"]).texts()
