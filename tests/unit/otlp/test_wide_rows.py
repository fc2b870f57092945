"""A body with more attributes than columns: memory goes by its values, not by rows times columns."""

from __future__ import annotations

import pyarrow as pa

from obs.model.schema import LOGS, MAX_ATTRIBUTE_COLUMNS, OVERFLOW
from obs.otlp.columns import Rows
from obs.otlp.limits import RESOURCE_COLUMNS
from obs.otlp.values import Cell

FIXED = (*(None for _ in LOGS),)


def batch(rows: int, keys_a_row: int) -> pa.RecordBatch:
    found = Rows(pa.schema([field.with_nullable(True) for field in LOGS]))
    for row in range(rows):
        cells: dict[str, Cell] = {f"rare{row}.{k}": ("int", row) for k in range(keys_a_row)}
        found.add(FIXED, ("attr", {"often": ("str", "x"), **cells}))
    return found.batch()


def test_sparse_columns_overflow_where_columns_run_out() -> None:
    found = batch(4_000, 2)
    assert set(found.schema.names) - set(LOGS.names) == {"attr.often:str", OVERFLOW}
    for row in (0, 100, 3_999):
        held = dict(found[OVERFLOW][row].as_py())
        assert held == {f"attr.rare{row}.{k}:int": str(row) for k in range(2)}
    assert found.nbytes < batch(4_000, 0).nbytes + 4_000 * 2 * 64


def test_few_rows_keep_their_columns() -> None:
    found = batch(10, 100)
    assert len(set(found.schema.names) - set(LOGS.names)) == MAX_ATTRIBUTE_COLUMNS + 1
    found = batch(200, 2)
    assert OVERFLOW not in found.schema.names


def test_attributes_of_resources_keep_their_columns() -> None:
    """Whether many others come before them or after: a span's service and a record's stream are known by these."""
    rare = {"service.name": ("str", "rare"), "cluster": ("str", "c1")}
    for first in (0, 3_999):
        found = Rows(pa.schema([field.with_nullable(True) for field in LOGS]))
        for row in range(4_000):
            resource: dict[str, Cell] = rare if row == first else {}
            found.add(FIXED, ("resource", resource), ("attr", {f"rare{row}": ("int", row)}))
        made = found.batch()
        for key, (_, value) in rare.items():
            column = made[f"resource.{key}:str"]
            assert (column.null_count, column[first].as_py()) == (3_999, value)


def test_attributes_of_very_many_resources_overflow() -> None:
    found = Rows(pa.schema([field.with_nullable(True) for field in LOGS]))
    for row in range(4_000):
        found.add(FIXED, ("resource", {f"rare{row}": ("int", row)}))
    made = found.batch()
    assert len(set(made.schema.names) - set(LOGS.names)) == RESOURCE_COLUMNS + 1
    assert dict(made[OVERFLOW][3_999].as_py()) == {"resource.rare3999:int": "3999"}
