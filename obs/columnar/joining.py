"""The batches of several appends made into few: one a table and schema. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

Tables = Mapping[str, pa.RecordBatch]
Parts = list[tuple[str, pa.RecordBatch]]


def joined(group: Sequence[Tables]) -> Parts:
    """The batches of several appends, those of one table and schema as one batch; order is kept within a table."""
    if len(group) == 1:
        return list(group[0].items())
    by_table: dict[str, list[pa.RecordBatch]] = {}
    for tables in group:
        for name, batch in tables.items():
            by_table.setdefault(name, []).append(batch)
    return [(name, batch) for name, batches in by_table.items() for batch in _join_same(batches)]


def _join_same(batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Neighbours of one schema as one batch."""
    if len(batches) == 1:
        return list(batches)
    runs: list[list[pa.RecordBatch]] = []
    for batch in batches:
        if runs and runs[-1][0].schema == batch.schema:
            runs[-1].append(batch)
        else:
            runs.append([batch])
    return [run[0] if len(run) == 1 else pa.concat_batches(run) for run in runs]


def cast_column(table: str, batch: pa.RecordBatch, column: str, type_: pa.DataType) -> pa.RecordBatch:
    """`batch` with one column in another type. Raises: ValueError where its values do not fit."""
    try:
        return batch.set_column(batch.schema.get_field_index(column), column, batch.column(column).cast(type_))
    except pa.ArrowException as e:
        found = batch.schema.field(column).type
        raise ValueError(f"cannot append table {table!r}: column {column!r} is {found}, not {type_}: {e}") from None
