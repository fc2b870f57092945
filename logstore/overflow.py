"""Reading `attr_overflow`, the map of the attributes past the limit of columns, as labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from obs.columnar.overflow import map_entries
from obs.logstore.names import label_name
from obs.model.schema import parse_attribute_column


def overflow_label(column: pa.Array, label: str) -> pa.Array | None:
    """The values of `label` in a map array: string[rows], or None where no row has it."""
    keys, items, rows = map_entries(column)
    if not len(keys):
        return None
    named = keys.dictionary_encode()
    wanted = [i for i, name in enumerate(named.dictionary.to_pylist()) if _overflow_name(name) == label]
    hit = np.isin(named.indices.to_numpy(), wanted)
    if not hit.any():
        return None
    values = np.full(len(column), -1, np.int64)
    values[rows[hit]] = np.flatnonzero(hit)
    return items.take(pa.array(values, mask=values < 0))


def overflow_names(column: pa.Array) -> set[str]:
    """The labels that some row has in a map array."""
    keys, _, _ = map_entries(column)
    return {_overflow_name(name) for name in keys.unique().to_pylist()}


def overflow_pairs(column: pa.Array) -> Iterator[tuple[int, str, str]]:
    """Every entry of a map array as (row, label, value)."""
    keys, items, rows = map_entries(column)
    for row, key, value in zip(rows.tolist(), keys.to_pylist(), items.to_pylist(), strict=True):
        yield row, _overflow_name(key), value or ""


def _overflow_name(column: str) -> str:
    attribute = parse_attribute_column(column)
    return label_name(attribute.key if attribute else column)
