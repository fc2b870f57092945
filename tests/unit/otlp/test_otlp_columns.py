"""Rows become columns: each value stands in its row, null where none was given, text in the overflow past the limit."""

from __future__ import annotations

import pyarrow as pa
import pytest

from obs.model.schema import DICT, OVERFLOW
from obs.otlp import columns
from obs.otlp.columns import Rows

FIXED = pa.schema([pa.field("n", pa.int64())])


def test_each_value_stands_in_its_row() -> None:
    rows = Rows(FIXED)
    rows.add((0,), ("resource", {"host": ("str", "a")}), ("attr", {"x": ("int", 1), "host": ("str", "own")}))
    rows.add((1,), ("resource", {"host": ("str", "b")}), ("attr", {"x": ("float", 1.5), "y": ("bool", False)}))
    rows.add((2,), ("resource", {"host": ("str", "b")}), ("attr", {"x": ("int", 3)}))
    batch = rows.batch()
    assert batch.schema.names == [
        "n",
        "attr.host:str",
        "attr.x:float",
        "attr.x:int",
        "attr.y:bool",
        "resource.host:str",
    ]
    assert batch.schema.field("resource.host:str").type == DICT
    assert [list(row.values()) for row in batch.to_pylist()] == [
        [0, "own", None, 1, None, "a"],
        [1, None, 1.5, None, False, "b"],
        [2, None, None, 3, None, "b"],
    ]
    batch.validate(full=True)


def test_past_the_limit_of_columns_values_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MAX_ATTRIBUTE_COLUMNS", 2)
    rows = Rows(FIXED)
    rows.add((0,), ("attr", {"a": ("int", 1)}))
    rows.add((1,), ("attr", {"c": ("int", 5), "b": ("int", 2), "d": ("bool", True)}))
    rows.add((2,), ("attr", {"b": ("int", 3), "a": ("int", 4)}))
    table = rows.batch()
    assert table.schema.names == ["n", "attr.a:int", "attr.c:int", OVERFLOW]
    assert table["attr.c:int"].to_pylist() == [None, 5, None]
    assert table[OVERFLOW].to_pylist() == [None, [("attr.b:int", "2"), ("attr.d:bool", "true")], [("attr.b:int", "3")]]


def test_no_rows_are_a_batch_of_none() -> None:
    batch = Rows(FIXED).batch()
    assert (batch.num_rows, batch.schema.names) == (0, ["n"])
