"""From a store to SQL views: blocks by file name, the head as an Arrow table, columns under friendly names.

A store implements `SqlSource`; `attribute_view` does it for logs and spans, whose attributes are columns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from obs.columnar.view import View
from obs.model.schema import ATTRIBUTE_TYPES, parse_attribute_column

_NUMBER = re.compile(rf":({'|'.join(ATTRIBUTE_TYPES)})_\d+$")
"""What DuckDB puts behind the second of two columns of one name."""


@dataclass(frozen=True, slots=True)
class SqlView:
    """A view: its name, its SELECT, and the Arrow tables that the SELECT names."""

    name: str
    sql: str
    arrow: Mapping[str, pa.Table] = field(default_factory=dict)


class SqlSource(Protocol):
    """A store as SQL sees it."""

    @property
    def sql_names(self) -> Sequence[str]:
        """The names of its views."""

    def sql_views(self) -> AbstractContextManager[Sequence[SqlView]]:
        """The store's views; blocks stay on disk until the context is left."""


def union_sql(
    view: View, table: str, head_name: str, derived: Mapping[str, str] | None = None, superseded: str | None = None
) -> str:
    """A FROM item: all blocks' `table` files and the head, columns by name.

    `derived` are expressions in place of columns that files keep shortened; they may name `filename` and
    `file_row_number`. `superseded` names a table of these two: rows that are left out.
    """
    paths = [str(path) for block in view.blocks if (path := block.path(table)) is not None]
    head = f'SELECT * FROM "{head_name}"'
    if not paths:
        return head
    files = ", ".join("'" + p.replace("'", "''") + "'" for p in paths)
    numbered = ", filename=true, file_row_number=true" if derived or superseded else ""
    rows = f"read_parquet([{files}], union_by_name=true{numbered})"
    if derived:
        replaced = ", ".join(f'{sql} AS "{column}"' for column, sql in derived.items())
        rows = f"(SELECT * REPLACE ({replaced}) FROM {rows})"
    if superseded:
        rows = f'{rows} ANTI JOIN "{superseded}" USING (filename, file_row_number)'
    return f"SELECT * FROM {rows} UNION ALL BY NAME {head}"


def attribute_view(
    view: View, table: str, name: str, schema: pa.Schema, hidden: Sequence[str] = (),
    derived: Mapping[str, str] | None = None, head: pa.Table | None = None, superseded: pa.Table | None = None,
) -> SqlView:  # fmt: skip
    """A view of logs or spans: ids as hex, times as timestamps beside their `_ns`, attributes by plain key.

    `"attr.http.route:str"` is `"attr.http.route"`; a key seen with two types is text under its plain name, and each
    type stays under its full one. Keys that differ by case alone are one column, as names are in SQL; a row that
    has several of them shows the first. `derived` and `superseded` as in `union_sql`; `head` in place of the view's.
    """
    head = view.head(table) if head is None else head
    if not head.num_columns:  # DuckDB takes no table without columns
        head = schema.empty_table()
    head = head.select([i for i, name in enumerate(head.column_names) if "\0" not in name])
    head_name = f"_head_{table}"
    columns = _columns(view, table, head)
    known = [f.name for f in schema if f.name in columns and f.name not in hidden]
    items = [item for column in known for item in _fixed(column, schema.field(column).type)]
    items += _attributes(columns)
    arrow = {head_name: head} if superseded is None else {head_name: head, f"_superseded_{table}": superseded}
    left_out = None if superseded is None else f"_superseded_{table}"
    sql = f"SELECT {', '.join(items)} FROM ({union_sql(view, table, head_name, derived, left_out)})"
    return SqlView(name, sql, arrow)


def _columns(view: View, table: str, head: pa.Table) -> list[str]:
    """The columns as DuckDB names them, over all files and the head."""
    files = [pq.read_schema(path).names for block in view.blocks if (path := block.path(table)) is not None]
    found: dict[str, str] = {}
    for names in (head.column_names, *files):
        for name in _as_read(names):
            found.setdefault(_folded(name), name)
    return list(found.values())


def _as_read(names: Sequence[str]) -> Iterator[str]:
    """The columns of one file as DuckDB names them: what differs from an earlier one by case alone gets a number."""
    seen: Counter[str] = Counter()
    for name in names:
        folded = _folded(name)
        if "\0" not in name:  # SQL text cannot hold it
            yield f"{name}_{seen[folded]}" if seen[folded] else name
        seen[folded] += 1


def _folded(name: str) -> str:
    """A name as DuckDB compares it: without the case of ASCII letters."""
    return name.encode().lower().decode()


def _fixed(column: str, type_: pa.DataType) -> list[str]:
    if pa.types.is_fixed_size_binary(type_):
        return [f'lower(hex("{column}")) AS "{column}"']
    if column.endswith("_ns"):
        return [f'make_timestamp_ns("{column}") AS "{column.removesuffix("_ns")}"', f'"{column}"']
    return [f'"{column}"']


def _attributes(columns: Sequence[str]) -> list[str]:
    plain: dict[str, str] = {}  # folded key → as it is written
    typed: dict[str, dict[str, list[str]]] = {}  # folded key → full name → columns
    for column in columns:
        attribute = parse_attribute_column(_NUMBER.sub(r":\1", column))
        if attribute is not None:
            key = f"{attribute.scope}.{attribute.key}"
            name = plain.setdefault(_folded(key), key)
            typed.setdefault(_folded(key), {}).setdefault(f"{name}:{attribute.type}", []).append(_quoted(column))
    items = []
    for folded, by_name in typed.items():
        values = {name: _first(columns) for name, columns in by_name.items()}
        if len(values) == 1:
            items.append(f"{next(iter(values.values()))} AS {_quoted(plain[folded])}")
        else:
            items.append(f"{_first([f'CAST({v} AS VARCHAR)' for v in values.values()])} AS {_quoted(plain[folded])}")
            items += [f"{value} AS {_quoted(name)}" for name, value in values.items()]
    return items


def _first(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
