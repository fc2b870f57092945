"""A result on its way out: an Arrow table → JSON `{columns, rows}`, CSV or an Arrow stream.

Times are ISO text (Python's own stop at microseconds and at the year 9999), bytes are hex, NaN is null in JSON.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv

from obs.errors import QueryError

ROWS_AT_ONE_TIME = 10_000

PLAIN = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_string)
"""What Arrow writes as CSV by itself."""


def to_json(table: pa.Table) -> bytes:
    """`{"columns": [name…], "rows": [[value…]…]}`. Raises: QueryError where JSON has no form for a value."""
    rows = b",".join(_json_rows(piece)[1:-1] for piece in _pieces(table) if piece.num_rows)
    return b'{"columns":%b,"rows":[%b]}' % (orjson.dumps(table.column_names), rows)


def to_csv(table: pa.Table) -> bytes:
    """Lines under a header; what is nested is JSON in its cell."""
    sink = io.BytesIO()
    for number, piece in enumerate(_pieces(table)):
        columns = [_cells(name, column) for name, column in zip(piece.column_names, piece.columns, strict=True)]
        options = pyarrow.csv.WriteOptions(include_header=number == 0)
        pyarrow.csv.write_csv(pa.Table.from_arrays(columns, names=piece.column_names), sink, options)
    return sink.getvalue()


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    """At least one: a value is a hundred bytes in Python, so that not all of them may be one at the same time."""
    for first in range(0, max(table.num_rows, 1), ROWS_AT_ONE_TIME):
        yield table.slice(first, ROWS_AT_ONE_TIME)


def _json_rows(table: pa.Table) -> bytes:
    columns = [_values(name, column) for name, column in zip(table.column_names, table.columns, strict=True)]
    try:
        return orjson.dumps([list(row) for row in zip(*columns, strict=True)], default=_plain)
    except TypeError as e:  # nested too deep, or past 64 bits
        raise QueryError(f"cannot write the result as JSON: {e}; CAST such columns to VARCHAR") from None


def to_arrow(table: pa.Table) -> bytes:
    """An Arrow IPC stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _cells(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    readable = _readable(column.type)
    if any(is_plain(readable) for is_plain in PLAIN):
        return column.cast(readable)
    return pa.array([_cell(value) for value in _values(name, column)], pa.string())


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else orjson.dumps(value, default=_plain).decode()


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    try:
        return list(column.cast(_readable(column.type)).to_pylist())
    except (pa.ArrowException, ValueError, OverflowError) as e:
        raise QueryError(f"cannot write column {name!r} of type {column.type}: {e}; CAST it to VARCHAR") from None


def _readable(type_: pa.DataType) -> pa.DataType:
    """The type with text in place of dates and times, however deep they stand."""
    if pa.types.is_interval(type_):
        return type_
    if pa.types.is_temporal(type_):
        return pa.string()
    if pa.types.is_fixed_size_list(type_):
        return pa.list_(_readable_field(type_.value_field), type_.list_size)
    if pa.types.is_list(type_):
        return pa.list_(_readable_field(type_.value_field))
    if pa.types.is_struct(type_):
        return pa.struct([_readable_field(field) for field in type_])
    if pa.types.is_map(type_):
        return pa.map_(_readable(type_.key_type), _readable(type_.item_type))
    return type_


def _readable_field(field: pa.Field) -> pa.Field:
    return field.with_type(_readable(field.type))


def _plain(value: Any) -> Any:
    """What JSON has no word for: bytes as hex, everything else as text."""
    return value.hex() if isinstance(value, bytes) else str(value)
