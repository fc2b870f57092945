"""Entries and byte ranges to the buffers of Arrow columns: texts gathered, dictionaries made, bitmaps set.

Everything returned is laid out as Arrow has it: int32 offsets, validity bits from the lowest up.
Texts are checked as they are copied; False says that one is not UTF-8.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np
from numba import njit

from obs.otlp.kernels_attributes import (
    BOOL,
    BYTES,
    COLUMNS,
    ENTRIES,
    ENTRY_SIZE,
    FLOAT,
    INT,
    N_COLUMNS,
    N_ENTRIES,
    STR,
)
from obs.otlp.kernels_wire import copy_text, hash_bytes, inlined, same_bytes


@inlined
def _set_bit(bits, i):
    bits[i >> 3] |= np.uint8(1 << (i & 7))


@njit(nogil=True, cache=True)
def pack(words, n):
    """(bits, nulls) of n words: those that are zero are null."""
    bits = np.zeros((n + 7) // 8, np.uint8)
    nulls = 0
    for i in range(n):
        if words[i] != 0:
            _set_bit(bits, i)
        else:
            nulls += 1
    return bits, nulls


@njit(nogil=True, cache=True)
def gather(buf, at, stop, n):
    """(valid UTF-8, offsets, data, bits, nulls) of n texts; the empty ones are null in `bits`."""
    offsets = np.empty(n + 1, np.int32)
    total = 0
    for i in range(n):
        total += stop[i] - at[i]
    data = np.empty(total + 8, np.uint8)
    bits = np.zeros((n + 7) // 8, np.uint8)
    to, nulls, valid = np.int64(0), 0, True
    for i in range(n):
        offsets[i] = to
        size = stop[i] - at[i]
        if size == 0:
            nulls += 1
            continue
        _set_bit(bits, i)
        valid &= copy_text(buf, at[i], stop[i], data, to)
        to += size
    offsets[n] = to
    return valid, offsets, data, bits, nulls


@njit(cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _free(table, size, own):
    place = np.int64(own & np.uint64(size - 1))
    while table[place] != 0:
        place = (place + 1) & (size - 1)
    return place


@njit(cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _wider(table, hashes, count):
    size = 4 * table.size
    table = np.zeros(size, np.int32)
    for code in range(count):
        table[_free(table, size, hashes[code])] = code + 1
    return table


@njit(nogil=True, cache=True)
def encode(buf, at, stop, n, nullable):
    """(codes, bits, nulls, at and stop of the distinct texts) of n texts; codes in order of first appearance.

    Where `nullable`, the empty ones are null.
    """
    table = np.zeros(256, np.int32)
    hashes = np.empty(n, np.uint64)
    codes = np.zeros(n, np.int32)
    bits = np.zeros((n + 7) // 8, np.uint8)
    distinct_at, distinct_stop = np.empty(n, np.int64), np.empty(n, np.int64)
    count = nulls = np.int64(0)
    for i in range(n):
        if nullable and stop[i] == at[i]:
            nulls += 1
            continue
        _set_bit(bits, i)
        own = hash_bytes(buf, at[i], stop[i], np.uint64(3))
        place = np.int64(own & np.uint64(table.size - 1))
        code = table[place] - 1
        while code >= 0:
            if hashes[code] == own and distinct_stop[code] - distinct_at[code] == stop[i] - at[i]:
                if same_bytes(buf, distinct_at[code], at[i], stop[i] - at[i]):
                    break
            place = (place + 1) & (table.size - 1)
            code = table[place] - 1
        if code < 0:
            if 2 * count >= table.size:
                table = _wider(table, hashes, count)
                place = _free(table, table.size, own)
            code = count
            table[place] = code + 1
            hashes[code], distinct_at[code], distinct_stop[code] = own, at[i], stop[i]
            count += 1
        codes[i] = code
    return codes, bits, nulls, distinct_at[:count], distinct_stop[:count]


@njit(nogil=True, cache=True)
def spread(buf, at, stop, groups, n):
    """(codes, bits, nulls, distinct at, distinct stop) of n rows that take their text from a group."""
    some, _, _, distinct_at, distinct_stop = encode(buf, at, stop, at.size, np.bool_(True))
    codes = np.zeros(n, np.int32)
    bits = np.zeros((n + 7) // 8, np.uint8)
    nulls = 0
    for i in range(n):
        group = groups[i]
        if stop[group] == at[group]:
            nulls += 1
            continue
        codes[i] = some[group]
        _set_bit(bits, i)
    return codes, bits, nulls, distinct_at, distinct_stop


@inlined
def _align(size):
    return (size + 63) & ~63


@inlined
def _is_text(type_):
    return type_ != INT and type_ != FLOAT and type_ != BOOL


@njit(cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _measure(k, entries, n, layout):
    """Lay columns out in the three arenas; layout[column] = count, bits, offsets or values, data, data size."""
    for i in range(entries.shape[0]):
        column = entries[i, 1]
        if column >= 0:
            layout[column, 0] += 1
            if _is_text(k[COLUMNS + 2 * column + 1]):
                layout[column, 4] += entries[i, 3] - entries[i, 2]
    bytes_, ints, longs = 0, 0, 0
    for column in range(k[N_COLUMNS]):
        type_ = k[COLUMNS + 2 * column + 1]
        if layout[column, 0] == 0:
            continue
        layout[column, 1] = bytes_
        bytes_ += _align((n + 7) // 8)
        if type_ == BOOL:
            layout[column, 3] = bytes_
            bytes_ += _align((n + 7) // 8)
        elif type_ == INT or type_ == FLOAT:
            layout[column, 2] = longs
            longs += _align(8 * n) // 8
        else:
            layout[column, 2] = ints
            ints += _align(4 * (n + 1)) // 4
            layout[column, 3] = bytes_
            bytes_ += _align(layout[column, 4] + 8)
    return bytes_, ints, longs


@njit(nogil=True, cache=True)
def entries_of(k):
    """int64[entries, 4] of a batch: row, column, first, second."""
    return k[ENTRIES : ENTRIES + ENTRY_SIZE * k[N_ENTRIES]].reshape((k[N_ENTRIES], ENTRY_SIZE))


@njit(nogil=True, cache=True)
def columns(buf, k, entries, n):
    """(valid UTF-8, layout, bytes, offsets, values) of the attribute columns of n rows; entries are in row order."""
    layout = np.zeros((k[N_COLUMNS], 5), np.int64)
    bytes_size, ints_size, longs_size = _measure(k, entries, n, layout)
    bytes_ = np.zeros(bytes_size, np.uint8)
    offsets = np.empty(ints_size, np.int32)
    values = np.zeros(longs_size, np.int64)
    next_row = np.zeros(k[N_COLUMNS], np.int64)
    filled = np.zeros(k[N_COLUMNS], np.int64)
    valid = True
    for i in range(entries.shape[0]):
        row, column, first, second = entries[i, 0], entries[i, 1], entries[i, 2], entries[i, 3]
        if column < 0:
            continue
        type_ = k[COLUMNS + 2 * column + 1]
        _set_bit(bytes_, 8 * layout[column, 1] + row)
        if type_ == INT or type_ == FLOAT:
            values[layout[column, 2] + row] = second
        elif type_ == BOOL:
            if second != 0:
                _set_bit(bytes_, 8 * layout[column, 3] + row)
        else:
            for gap in range(next_row[column], row + 1):
                offsets[layout[column, 2] + gap] = filled[column]
            next_row[column] = row + 1
            to = layout[column, 3] + filled[column]
            valid &= copy_text(buf, first, second, bytes_, to) or type_ == BYTES
            filled[column] += second - first
    for column in range(k[N_COLUMNS]):
        if layout[column, 0] and _is_text(k[COLUMNS + 2 * column + 1]):
            for gap in range(next_row[column], n + 1):
                offsets[layout[column, 2] + gap] = filled[column]
    return valid, layout, bytes_, offsets, values


@njit(nogil=True, cache=True)
def cells_by_group(k, groups):
    """int64[columns, groups]: the entry that each resource or scope has in each column, or -1."""
    cells = np.full((k[N_COLUMNS], groups), -1, np.int64)
    for i in range(k[N_ENTRIES]):
        entry = ENTRIES + ENTRY_SIZE * i
        if k[entry + 1] >= 0:
            cells[k[entry + 1], k[entry]] = entry
    return cells


@njit(nogil=True, cache=True)
def group_texts(buf, k, cells, group_of_row, n):
    """(valid UTF-8, codes, bits, nulls, offsets, data) of one text column that all rows of a group share."""
    groups = cells.size
    at, stop, compact = np.empty(groups, np.int64), np.empty(groups, np.int64), np.full(groups, -1, np.int64)
    out = np.zeros(n, np.int32)
    bits = np.zeros((n + 7) // 8, np.uint8)
    used = nulls = np.int64(0)
    for row in range(n):
        group = group_of_row[row]
        if cells[group] < 0:
            nulls += 1
            continue
        _set_bit(bits, row)
        if compact[group] < 0:
            compact[group] = used
            at[used], stop[used] = k[cells[group] + 2], k[cells[group] + 3]
            used += 1
    codes, _, _, distinct_at, distinct_stop = encode(buf, at, stop, used, np.bool_(False))
    for row in range(n):
        place = compact[group_of_row[row]]
        if place >= 0:
            out[row] = codes[place]
    valid, offsets, data, _, _ = gather(buf, distinct_at, distinct_stop, distinct_at.size)
    return valid, out, bits, nulls, offsets, data


@njit(nogil=True, cache=True)
def group_entries(k, cells, group_of_row, n):
    """int64[entries, 4]: entries of the columns that are not text, repeated for every row of a group."""
    total = 0
    for row in range(n):
        for column in range(cells.shape[0]):
            total += k[COLUMNS + 2 * column + 1] != STR and cells[column, group_of_row[row]] >= 0
    entries = np.empty((total, ENTRY_SIZE), np.int64)
    to = 0
    for row in range(n):
        for column in range(cells.shape[0]):
            entry = cells[column, group_of_row[row]]
            if k[COLUMNS + 2 * column + 1] != STR and entry >= 0:
                entries[to, 0], entries[to, 1] = row, column
                entries[to, 2], entries[to, 3] = k[entry + 2], k[entry + 3]
                to += 1
    return entries
