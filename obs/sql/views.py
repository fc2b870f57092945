"""From a store to SQL views: blocks by file name, the head as an Arrow table, columns under friendly names.

A store implements `SqlSource`; `attribute_view` does it for logs and spans, whose attributes are columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from obs.columnar.view import View
from obs.model.schema import parse_attribute_column


@dataclass(frozen=True, slots=True)
class SqlView:
    """A view: its name, its SELECT, and the Arrow tables that the SELECT names."""

    name: str
    sql: str
    arrow: Mapping[str, pa.Table] = field(default_factory=dict)


class SqlSource(Protocol):
    """A store as SQL sees it."""

    def sql_views(self) -> AbstractContextManager[Sequence[SqlView]]:
        """The store's views; blocks stay on disk until the context is left."""


def union_sql(view: View, table: str, head_name: str) -> str:
    """A FROM item: all blocks' `table` files and the head, columns by name."""
    paths = [str(path) for block in view.blocks if (path := block.path(table)) is not None]
    head = f'SELECT * FROM "{head_name}"'
    if not paths:
        return head
    files = ", ".join("'" + p.replace("'", "''") + "'" for p in paths)
    return f"SELECT * FROM read_parquet([{files}], union_by_name=true) UNION ALL BY NAME {head}"


def attribute_view(view: View, table: str, name: str, schema: pa.Schema, hidden: Sequence[str] = ()) -> SqlView:
    """A view of logs or spans: ids as hex, times as timestamps beside their `_ns`, attributes by plain key.

    `"attr.http.route:str"` is `"attr.http.route"`; a key seen with two types is text under its plain name, and each
    type stays under its full one.
    """
    head = view.head(table)
    if not head.num_columns:  # DuckDB takes no table without columns
        head = schema.empty_table()
    head_name = f"_head_{table}"
    columns = _columns(view, table, head)
    known = [f.name for f in schema if f.name in columns and f.name not in hidden]
    items = [item for column in known for item in _fixed(column, schema.field(column).type)]
    items += _attributes(columns)
    sql = f"SELECT {', '.join(items)} FROM ({union_sql(view, table, head_name)})"
    return SqlView(name, sql, {head_name: head})


def _columns(view: View, table: str, head: pa.Table) -> list[str]:
    names = dict.fromkeys(head.column_names)
    for block in view.blocks:
        if (path := block.path(table)) is not None:
            names.update(dict.fromkeys(pq.read_schema(path).names))
    return list(names)


def _fixed(column: str, type_: pa.DataType) -> list[str]:
    if pa.types.is_fixed_size_binary(type_):
        return [f'lower(hex("{column}")) AS "{column}"']
    if column.endswith("_ns"):
        return [f'make_timestamp_ns("{column}") AS "{column.removesuffix("_ns")}"', f'"{column}"']
    return [f'"{column}"']


def _attributes(columns: Sequence[str]) -> list[str]:
    by_key: dict[str, list[str]] = {}
    for column in columns:
        attribute = parse_attribute_column(column)
        if attribute is not None:
            by_key.setdefault(f"{attribute.scope}.{attribute.key}", []).append(column)
    items = []
    for key, typed in by_key.items():
        quoted = ['"' + c.replace('"', '""') + '"' for c in typed]
        plain = '"' + key.replace('"', '""') + '"'
        if len(quoted) == 1:
            items.append(f"{quoted[0]} AS {plain}")
        else:
            items.append(f"coalesce({', '.join(f'CAST({q} AS VARCHAR)' for q in quoted)}) AS {plain}")
            items += quoted
    return items
