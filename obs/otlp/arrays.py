"""numpy arrays as Arrow arrays without a copy, and attribute columns as a RecordBatch."""

# mypy: allow-untyped-calls
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from obs.model.schema import ATTRIBUTE_TYPES, DICT, MAX_ATTRIBUTE_COLUMNS, TRACE_ID, attribute_column, column_type
from obs.otlp import kernels as kn
from obs.otlp.work import Array, Rare

_STRING = pa.string()
_VALUE_TYPES = tuple(ATTRIBUTE_TYPES[t] for t in kn.TYPES)
_SMALL = {pa.uint8(): np.uint8, pa.uint32(): np.uint32}


def values(type_: pa.DataType, n: int, words: Array) -> pa.Array:
    """An array of n values from 64-bit words: their low bits where the type is narrower, two where it is wider."""
    data = words[: 2 * n if type_ is TRACE_ID else n].astype(_SMALL.get(type_, np.int64))
    return pa.Array.from_buffers(type_, n, [None, pa.py_buffer(data)])


def ids(type_: pa.DataType, n: int, words: Array, filled: Array | None = None) -> pa.Array:
    """An array of ids; those that are zero (or where `filled` is) are null."""
    bits, nulls = kn.pack(words if filled is None else filled, n)
    data = words[: 2 * n if type_ is TRACE_ID else n].copy()
    return pa.Array.from_buffers(type_, n, [pa.py_buffer(bits) if nulls else None, pa.py_buffer(data)])


def texts(buf: Array, at: Array, stop: Array, n: int, nullable: bool = True) -> pa.Array:
    """A string array of byte ranges; the empty ones are null where it is nullable. Raises: Rare (not UTF-8)."""
    valid, offsets, data, bits, nulls = kn.gather(buf, at, stop, n)
    if not valid:
        raise Rare
    presence = pa.py_buffer(bits) if nulls and nullable else None
    return pa.Array.from_buffers(_STRING, n, [presence, pa.py_buffer(offsets), pa.py_buffer(data)])


def dictionary(buf: Array, at: Array, stop: Array, n: int, nullable: bool = True) -> pa.Array:
    """A dictionary array of byte ranges; the empty ones are null where it is nullable. Raises: Rare."""
    codes, bits, nulls, distinct_at, distinct_stop = kn.encode(buf, at, stop, n, nullable)
    words = texts(buf, distinct_at, distinct_stop, len(distinct_at), nullable=False)
    return _with_words(n, codes, bits if nulls else None, words)


def spread(buf: Array, at: Array, stop: Array, groups: Array, n: int) -> pa.Array:
    """A dictionary array of n rows that take their text from a group; empty ones are null. Raises: Rare."""
    codes, bits, nulls, distinct_at, distinct_stop = kn.spread(buf, at, stop, groups, n)
    words = texts(buf, distinct_at, distinct_stop, len(distinct_at), nullable=False)
    return _with_words(n, codes, bits if nulls else None, words)


def _with_words(n: int, codes: Array, bits: Array | None, words: pa.Array) -> pa.Array:
    presence = None if bits is None else pa.py_buffer(bits)
    return pa.DictionaryArray.from_buffers(DICT, n, [presence, pa.py_buffer(codes)], words)


Column = tuple[str, bytes, int, pa.Array]
"""(scope, key, type, array)."""


def _key(buf: Array, k: Array, column: int) -> bytes:
    key = k[kn.COLUMNS + 2 * column]
    return bytes(buf[k[key + kn.KEY_AT] : k[key + kn.KEY_STOP]])


def columns(scope: str, buf: Array, k: Array, n: int, entries: Array | None = None) -> list[Column]:
    """The attribute columns of entries (those of `k` unless given) that are in row order. Raises: Rare."""
    valid, layout, bytes_, offsets, numbers = kn.columns(buf, k, kn.entries_of(k) if entries is None else entries, n)
    if not valid:
        raise Rare
    arenas = pa.py_buffer(bytes_), pa.py_buffer(offsets), pa.py_buffer(numbers)
    found = []
    for column, (cells, bits, fixed, data, size) in enumerate(layout.tolist()):
        if cells:
            type_ = int(k[kn.COLUMNS + 2 * column + 1])
            buffers = _buffers(arenas, type_, n, bits if cells < n else None, fixed, data, size)
            array = pa.Array.from_buffers(_VALUE_TYPES[type_], n, buffers)
            found.append((scope, _key(buf, k, column), type_, array))
    return found


def _buffers(arenas: Any, type_: int, n: int, bits: int | None, fixed: int, data: int, size: int) -> list[Any]:
    bytes_, offsets, numbers = arenas
    presence = None if bits is None else bytes_.slice(bits, (n + 7) // 8)
    if type_ in (kn.INT, kn.FLOAT):
        return [presence, numbers.slice(8 * fixed, 8 * n)]
    if type_ == kn.BOOL:
        return [presence, bytes_.slice(data, (n + 7) // 8)]
    return [presence, offsets.slice(4 * fixed, 4 * (n + 1)), bytes_.slice(data, size)]


_MAX_CELLS = 1 << 22
"""Columns times resources that a table of cells is made for; beyond, the slow path."""


def group_columns(scope: str, buf: Array, k: Array, group_of_row: Array, groups: int, n: int) -> list[Column]:
    """The attribute columns that all rows of a resource or scope share. Raises: Rare."""
    count = int(k[kn.N_COLUMNS])
    if not count:
        return []
    if count * groups > _MAX_CELLS:
        raise Rare
    cells = kn.cells_by_group(k, groups)
    types = k[kn.COLUMNS + 1 : kn.COLUMNS + 2 * count : 2].tolist()
    found = []
    for column, type_ in enumerate(types):
        if type_ == kn.STR:
            array = _group_text(buf, k, cells[column], group_of_row, n)
            if array is not None:
                found.append((scope, _key(buf, k, column), type_, array))
    if any(type_ != kn.STR for type_ in types):
        found += columns(scope, buf, k, n, kn.group_entries(k, cells, group_of_row, n))
    return found


def _group_text(buf: Array, k: Array, cells: Array, group_of_row: Array, n: int) -> pa.Array | None:
    valid, codes, bits, nulls, offsets, data = kn.group_texts(buf, k, cells, group_of_row, n)
    if not valid:
        raise Rare
    if nulls == n:
        return None
    words = pa.Array.from_buffers(_STRING, len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    return _with_words(n, codes, bits if nulls else None, words)


_schemas: dict[Any, tuple[list[int], pa.Schema]] = {}
_MAX_SCHEMAS = 1024


def batch(schema: pa.Schema, fixed: list[pa.Array], found: Sequence[Column]) -> pa.RecordBatch:
    """The fixed columns, then the attribute columns sorted by name. Raises: Rare (too many columns)."""
    if len(found) > MAX_ATTRIBUTE_COLUMNS:
        raise Rare
    key = (schema.names[0], tuple([(scope, raw, type_) for scope, raw, type_, _ in found]))
    known = _schemas.get(key)
    if known is None:
        known = _wide_schema(schema, found)
        if len(_schemas) >= _MAX_SCHEMAS:
            _schemas.clear()
        _schemas[key] = known
    order, wide = known
    return pa.RecordBatch.from_arrays(fixed + [found[i][3] for i in order], schema=wide)


def _wide_schema(schema: pa.Schema, found: Sequence[Column]) -> tuple[list[int], pa.Schema]:
    named = sorted((attribute_column(s, raw.decode(), kn.TYPES[t]), i) for i, (s, raw, t, _) in enumerate(found))
    fields = [pa.field(name, column_type(found[i][0], kn.TYPES[found[i][2]])) for name, i in named]
    return [i for _, i in named], pa.schema([*schema, *fields])
