"""Columns past the limit: the rarest attribute columns of a table become entries of `attr_overflow`.

`attr_overflow` is map<column name, value as text>: still found by text and by key, only slower.
"""

from __future__ import annotations

import base64

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obs.model.schema import LABELS, OVERFLOW, parse_attribute_column


def fold_columns(table: pa.Table, limit: int) -> pa.Table:
    """The table with at most `limit` attribute columns, those with the most values; the rest in the overflow."""
    attributes = [c for c in table.column_names if c != OVERFLOW and parse_attribute_column(c) is not None]
    if len(attributes) <= limit:
        return table
    filled = sorted(attributes, key=lambda c: (c.startswith("resource."), -table.column(c).null_count), reverse=True)
    folded = filled[limit:]
    entries = [_entries(table, name) for name in folded]
    if OVERFLOW in table.column_names:
        entries.append(_old_entries(table))
        table = table.drop_columns([OVERFLOW])
    column = _as_map(entries, table.num_rows)
    return table.drop_columns(folded).append_column(OVERFLOW, column)


def as_text(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """A column's values as the text that labels show: bytes as base64, the rest as Arrow writes it."""
    if pa.types.is_binary(column.type):
        texts = [None if v is None else base64.b64encode(v).decode() for v in column.to_pylist()]
        return pa.array(texts, pa.string())
    return column if pa.types.is_string(column.type) else pc.cast(column, pa.string())


def map_entries(column: pa.Array) -> tuple[pa.Array, pa.Array, np.ndarray]:
    """Keys, values and the row of each entry of a map array."""
    offsets = column.offsets.to_numpy()
    counts = np.diff(offsets)
    if column.null_count:
        counts = np.where(column.is_valid().to_numpy(zero_copy_only=False), counts, 0)
    rows = np.repeat(np.arange(len(column)), counts)
    before = np.cumsum(counts) - counts
    at = pa.array(np.arange(len(rows)) - np.repeat(before, counts) + np.repeat(offsets[:-1], counts))
    return column.keys.take(at), column.items.take(at), rows


def _entries(table: pa.Table, name: str) -> tuple[np.ndarray, pa.Array, pa.Array]:
    column = table.column(name).combine_chunks()
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    values = as_text(column.drop_null())
    return rows, pa.array([name] * len(rows), pa.string()), pa.array(values.to_pylist(), pa.string())


def _old_entries(table: pa.Table) -> tuple[np.ndarray, pa.Array, pa.Array]:
    keys, items, rows = map_entries(table.column(OVERFLOW).combine_chunks())
    return rows, keys, items


def _as_map(entries: list[tuple[np.ndarray, pa.Array, pa.Array]], rows: int) -> pa.Array:
    owners = np.concatenate([e[0] for e in entries])
    order = np.argsort(owners, kind="stable")
    take = pa.array(order)
    keys = pa.concat_arrays([e[1] for e in entries]).take(take)
    items = pa.concat_arrays([e[2] for e in entries]).take(take)
    offsets = np.searchsorted(owners[order], np.arange(rows + 1)).astype(np.int32)
    return pa.MapArray.from_arrays(pa.array(offsets), keys, items).cast(LABELS)
