"""Rows of Python values to a RecordBatch in a canonical schema: fixed columns, then one column per attribute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from obs.model.schema import LABELS, MAX_ATTRIBUTE_COLUMNS, OVERFLOW, attribute_column, column_type
from obs.otlp.values import Cell, cell_text


class Rows:
    """Collects the rows of one table; attribute columns come after the fixed ones, sorted by name."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._fixed: list[tuple[Any, ...]] = []
        self._cells: list[dict[tuple[str, str, str], Any]] = []

    def add(self, fixed: tuple[Any, ...], *scoped: tuple[str, Mapping[str, Cell]]) -> None:
        """Add a row: its fixed values in the schema's order, and its attributes by scope."""
        self._fixed.append(fixed)
        self._cells.append({(scope, key, type_): v for scope, cs in scoped for key, (type_, v) in cs.items()})

    def batch(self) -> pa.RecordBatch:
        """Everything added so far."""
        columns = self._columns()
        fields, arrays = list(self._schema), self._fixed_arrays()
        for name, (scope, key, type_) in sorted((attribute_column(*c), c) for c in columns):
            fields.append(pa.field(name, column_type(scope, type_)))
            values = [cells.get((scope, key, type_)) for cells in self._cells]
            arrays.append(pa.array(values, column_type(scope, type_)))
        overflow = [self._overflow(cells, columns) for cells in self._cells]
        if any(overflow):
            fields.append(pa.field(OVERFLOW, LABELS))
            arrays.append(pa.array([o or None for o in overflow], LABELS))
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def _fixed_arrays(self) -> list[pa.Array]:
        values = zip(*self._fixed, strict=True) if self._fixed else [[] for _ in self._schema]
        return [pa.array(v, field.type) for v, field in zip(values, self._schema, strict=True)]

    def _columns(self) -> dict[tuple[str, str, str], None]:
        found: dict[tuple[str, str, str], None] = {}
        for cells in self._cells:
            found.update(dict.fromkeys(cells))
        return dict.fromkeys(list(found)[:MAX_ATTRIBUTE_COLUMNS])

    def _overflow(
        self, cells: Mapping[tuple[str, str, str], Any], columns: Mapping[tuple[str, str, str], None]
    ) -> list[tuple[str, str]]:
        return [(attribute_column(*c), cell_text((c[2], v))) for c, v in cells.items() if c not in columns]
