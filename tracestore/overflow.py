"""Columns past the limit of a block go to one map column `attr_overflow`: the rarest first, values as text."""

from __future__ import annotations

from base64 import b64encode

import numpy as np
import pyarrow as pa

from obs.model.schema import OVERFLOW, parse_attribute_column

_MAP = pa.map_(pa.string(), pa.string())


def fold_columns(table: pa.Table, limit: int) -> pa.Table:
    """`table` with at most `limit` attribute columns; what one row already overflowed stays in front."""
    attributes = [n for n in table.column_names if parse_attribute_column(n) is not None]
    if len(attributes) <= limit:
        return table
    rare_first = sorted(attributes, key=lambda n: table.num_rows - table.column(n).null_count)
    folded = rare_first[: len(attributes) - limit]
    texts = {name: as_text(table.column(name)) for name in folded}
    old = table.column(OVERFLOW).to_pylist() if OVERFLOW in table.column_names else [None] * table.num_rows
    rows: list[list[tuple[str, str]]] = [list(pairs or ()) for pairs in old]
    for name, column in texts.items():
        for row in np.flatnonzero(np.asarray(column.is_valid())).tolist():
            rows[row].append((name, column[row].as_py()))
    kept = table.drop_columns([*folded, *([OVERFLOW] if OVERFLOW in table.column_names else [])])
    return kept.append_column(pa.field(OVERFLOW, _MAP), pa.array([r or None for r in rows], _MAP))


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column's values as text: bytes as base64, booleans as true and false."""
    if pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    if pa.types.is_binary(column.type):
        return pa.chunked_array(
            [[None if v is None else b64encode(v).decode() for v in column.to_pylist()]], pa.string()
        )
    return column.cast(pa.string())
