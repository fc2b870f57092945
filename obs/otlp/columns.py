"""Rows of Python values to a RecordBatch in a canonical schema: fixed columns, then one column per attribute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from obs.model.schema import LABELS, MAX_ATTRIBUTE_COLUMNS, OVERFLOW, attribute_column, column_type
from obs.otlp.limits import RESOURCE_COLUMNS, SPARSE_ROWS
from obs.otlp.values import Cell, cell_text

Key = tuple[str, str, str]
"""What a column is for: scope, the attribute's key, its type."""

RESOURCE = "resource"
SERVICE = (RESOURCE, "service.name", "str")


class Rows:
    """Collects the rows of one table; attribute columns come after the fixed ones, sorted by name.

    A column holds the rows that have a value, so that the work is by values, not by rows times columns.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._fixed: list[tuple[Any, ...]] = []
        self._columns: dict[Key, tuple[list[int], list[Any]]] = {}
        self._overflow: dict[int, list[tuple[str, str]]] = {}

    def add(self, fixed: tuple[Any, ...], *scoped: tuple[str, Mapping[str, Cell]]) -> None:
        """Add a row: its fixed values in the schema's order, and its attributes by scope, each scope once."""
        row = len(self._fixed)
        self._fixed.append(fixed)
        for scope, cells in scoped:
            for key, (type_, value) in cells.items():
                self._set(row, (scope, key, type_), value)

    def _set(self, row: int, key: Key, value: Any) -> None:
        column = self._columns.get(key)
        if column is None:
            if len(self._columns) >= MAX_ATTRIBUTE_COLUMNS + (RESOURCE_COLUMNS if key[0] == RESOURCE else 0):
                text = cell_text((key[2], value))
                self._overflow.setdefault(row, []).append((attribute_column(*key), text))
                return
            column = self._columns[key] = ([], [])
        column[0].append(row)
        column[1].append(value)

    def batch(self) -> pa.RecordBatch:
        """Everything added so far."""
        if self._overflow:
            self._fold_sparse()
        fields, arrays = list(self._schema), self._fixed_arrays()
        for name, key in sorted((attribute_column(*key), key) for key in self._columns):
            type_ = column_type(key[0], key[2])
            fields.append(pa.field(name, type_))
            arrays.append(self._spread(*self._columns[key], type_))
        if self._overflow:
            fields.append(pa.field(OVERFLOW, LABELS))
            rows = sorted(self._overflow)
            arrays.append(self._spread(rows, [self._overflow[row] for row in rows], LABELS))
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def _fold_sparse(self) -> None:
        """Columns that few rows have a value in to the overflow: of 400,000 rows each takes 1.6 MB, however few.

        Those of resources stay: stores know a span's service and a record's stream by them.
        """
        rows = {key: len(rows) for key, (rows, _) in self._columns.items()}
        of_resources = sorted((key for key in rows if key[0] == RESOURCE), key=rows.__getitem__, reverse=True)
        stay = {SERVICE, *of_resources[:RESOURCE_COLUMNS]}
        for key in [key for key in rows if rows[key] * SPARSE_ROWS < len(self._fixed) and key not in stay]:
            name = attribute_column(*key)
            for row, value in zip(*self._columns.pop(key), strict=True):
                self._overflow.setdefault(row, []).append((name, cell_text((key[2], value))))

    def _fixed_arrays(self) -> list[pa.Array]:
        values = zip(*self._fixed, strict=True) if self._fixed else [[] for _ in self._schema]
        return [pa.array(v, field.type) for v, field in zip(values, self._schema, strict=True)]

    def _spread(self, rows: list[int], values: list[Any], type_: pa.DataType) -> pa.Array:
        """The values of `rows` (rising) as a column of all rows, null elsewhere."""
        found = pa.array(values, type_)
        if len(values) == len(self._fixed):
            return found
        places = np.full(len(self._fixed), -1, np.int32)
        places[rows] = np.arange(len(rows), dtype=np.int32)
        return found.take(pa.array(places, mask=places < 0))
