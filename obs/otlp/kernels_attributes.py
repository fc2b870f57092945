"""Attributes to entries: which row, which column, and where the value lies. A column is a key and a type.

Keys are found through a small hash table of the batch; where a key comes twice in one item the later entry silences
the earlier. JSON texts are written at once, into the room behind the body; those too hard for a kernel are listed
for Python. `k` is the memory of one scope's attributes, one int64 array laid out below: kernels pass it cheaply.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np

from obs.otlp.kernels_json import JSON_AT, TOO_HARD, find_pair, find_value, json_code, note_hard, write_value
from obs.otlp.kernels_wire import (
    FULL,
    LEN,
    MALFORMED,
    OK,
    RARE,
    hash_bytes,
    inlined,
    inner,
    is_utf8,
    kernel,
    length,
    same_bytes,
    skip,
    tag,
)

STR, INT, FLOAT, BOOL, BYTES, JSON = range(6)
TYPES = ("str", "int", "float", "bool", "bytes", "json")
_TYPE_OF_FIELD = np.array([JSON, STR, BOOL, INT, FLOAT, JSON, JSON, BYTES], np.int64)

MAX_KEYS = 1024
_PLACES = 4096
N_KEYS, N_COLUMNS, N_ENTRIES = range(3)
_TABLE = 8  # key + 1
KEYS = _TABLE + _PLACES  # at, stop, hash, last item that had it, its entry there, column of each type + 1, spare
KEY_AT, KEY_STOP, _HASH, _ITEM, _ENTRY, _COLUMN, KEY_SIZE = 0, 1, 2, 3, 4, 5, 12
COLUMNS = KEYS + MAX_KEYS * KEY_SIZE  # key, type
ENTRIES = COLUMNS + MAX_KEYS * 6 * 2  # row, column (-1: silenced), first, second; as `find_value` bounds a value
ENTRY_SIZE = 4


@inlined
def _find_key(buf, at, stop, k):
    """Where a key stands in `k`, new or known; -1 where it is not UTF-8 or there are too many."""
    own = np.int64(hash_bytes(buf, at, stop, np.uint64(7)))
    place = own & (_PLACES - 1)
    while k[_TABLE + place] != 0:
        key = k[_TABLE + place]
        if k[key + _HASH] == own and k[key + KEY_STOP] - k[key + KEY_AT] == stop - at:
            if same_bytes(buf, k[key + KEY_AT], at, stop - at):
                return key
        place = (place + 1) & (_PLACES - 1)
    if k[N_KEYS] == MAX_KEYS or not is_utf8(buf, at, stop):
        return np.int64(-1)
    key = KEYS + KEY_SIZE * k[N_KEYS]
    k[N_KEYS] += 1
    k[_TABLE + place] = key
    for i in range(KEY_SIZE):
        k[key + i] = 0
    k[key + KEY_AT], k[key + KEY_STOP], k[key + _HASH], k[key + _ITEM] = at, stop, own, -1
    return key


@inner
def _new_column(k, key, type_):
    column = k[N_COLUMNS]
    k[N_COLUMNS] = column + 1
    k[key + _COLUMN + type_] = column + 1
    k[COLUMNS + 2 * column], k[COLUMNS + 2 * column + 1] = key, type_
    return column


@inner
def _write_json(buf, at, stop, k, t, kind):
    """Write a value as JSON at the end of the texts, or leave it to Python; returns a code."""
    end = write_value(buf, at, stop, t[JSON_AT], t, np.int64(0))
    if end == TOO_HARD:
        return note_hard(t, kind, k[N_ENTRIES], at, stop)
    if end < 0:
        return json_code(end)
    t[JSON_AT] = end
    return OK


@inlined
def add_attribute(buf, at, stop, k, t, item, row, kind):
    """Add a KeyValue of an item as an entry of `row`; returns a code. `kind` names the cell to Python if need be."""
    key_at, key_stop, value, value_stop = find_pair(buf, at, stop)
    if key_at < 0:
        return json_code(key_at)
    field, first, second = find_value(buf, value, value_stop)
    if field < 0:
        return json_code(field)
    key = _find_key(buf, key_at, key_stop, k)
    if key < 0:
        return RARE
    entry = ENTRIES + ENTRY_SIZE * k[N_ENTRIES]
    if entry + ENTRY_SIZE > k.size:
        return FULL
    type_ = _TYPE_OF_FIELD[field]
    if type_ == JSON:
        first = t[JSON_AT]
        code = _write_json(buf, value, value_stop, k, t, kind)
        if code != OK:
            return code
        second = t[JSON_AT]
    if k[key + _ITEM] == item:
        k[k[key + _ENTRY] + 1] = -1
    k[key + _ITEM], k[key + _ENTRY] = item, entry
    column = k[key + _COLUMN + type_] - 1
    if column < 0:
        column = _new_column(k, key, type_)
    k[entry], k[entry + 1], k[entry + 2], k[entry + 3] = row, column, first, second
    k[N_ENTRIES] += 1
    return OK


@kernel
def group_attributes(buf, ranges, number, k, t, kind):
    """The attributes (field `number`) of every resource or scope as entries, its index as row; returns a code."""
    for group in range(ranges.shape[1]):
        at, end = ranges[0, group], ranges[1, group]
        while at < end:
            found, wire, at = tag(buf, at, end)
            if at < 0:
                return MALFORMED
            if found != number or wire != LEN:
                at = skip(buf, at, end, wire)
            else:
                start, at = length(buf, at, end)
                if at >= 0:
                    code = add_attribute(buf, start, at, k, t, group, group, kind)
                    if code != OK:
                        return code
            if at < 0:
                return MALFORMED
    return OK


@kernel
def scope_names(buf, scoped, names):
    """Fill int64[4, scoped] with where name and version of each scope lie, empty where it has none; a code."""
    for index in range(scoped.shape[1]):
        at, end = scoped[0, index], scoped[1, index]
        for field in range(4):
            names[field, index] = at
        while at < end:
            number, wire, at = tag(buf, at, end)
            if at < 0:
                return MALFORMED
            if wire == LEN and number <= 2:
                start, at = length(buf, at, end)
                names[2 * number - 2, index], names[2 * number - 1, index] = start, at
            else:
                at = skip(buf, at, end, wire)
            if at < 0:
                return MALFORMED
    return OK
