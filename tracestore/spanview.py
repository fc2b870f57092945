"""Spans of one trace as Python values, for the APIs to write in their shapes. Only ever for what one answer shows.

In: a table of spans with DAG columns. Out: `SpanView`, attributes by scope with their types.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from obs.model.schema import OVERFLOW, Attribute, parse_attribute_column
from obs.tracestore.names import COVERED, DEPTH, NESTED_LEFT, NO_SERVICE, OFF_PATH, PARENT_POSITION, SKEW
from obs.tracestore.spancolumns import flat

Attributes = tuple[tuple[str, str, Any], ...]
"""(key, type of `schema.ATTRIBUTE_TYPES`, value), sorted by key."""


@dataclass(frozen=True, slots=True)
class SpanView:
    """One span. Ids are lower-case hex; `parent_id` is "" for a root."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status: int
    status_message: str
    trace_state: str
    flags: int
    scope_name: str
    scope_version: str
    resource: Attributes
    scope: Attributes
    attributes: Attributes
    events: Sequence[Mapping[str, Any]]
    links: Sequence[Mapping[str, Any]]
    dropped_attributes: int
    dropped_events: int
    dropped_links: int
    parent_position: int
    depth: int
    left: int
    covered_ns: int
    skew_ns: int
    off_path_ns: int

    @property
    def service(self) -> str:
        """`service.name` of its resource."""
        return next((str(v) for k, _, v in self.resource if k == "service.name"), NO_SERVICE)

    @property
    def duration_ns(self) -> int:
        """End minus start, 0 where the end comes first."""
        return max(self.end_ns - self.start_ns, 0)

    @property
    def self_ns(self) -> int:
        """Time in which no child ran."""
        return self.duration_ns - self.covered_ns

    @property
    def critical_ns(self) -> int:
        """Time on the critical path of its trace."""
        return self.self_ns - self.off_path_ns


def span_views(table: pa.Table) -> list[SpanView]:
    """The rows of a table, in its order."""
    rows = table.num_rows
    if not rows:
        return []
    get = _Columns(table)
    scopes = {scope: _attributes(table, scope) for scope in ("resource", "scope", "attr")}
    columns = (
        get.ids("trace_id"), get.ids("span_id"), get.ids("parent_span_id"), get("name", ""), get("kind", 0),
        get("start_ns", 0), get("end_ns", 0), get("status_code", 0), get("status_message", ""),
        get("trace_state", ""), get("flags", 0), get("scope_name", ""), get("scope_version", ""),
        scopes["resource"], scopes["scope"], scopes["attr"], get("events", ()), get("links", ()),
        get("dropped_attributes", 0), get("dropped_events", 0), get("dropped_links", 0),
        get(PARENT_POSITION, -1), get(DEPTH, 0), get(NESTED_LEFT, 0), get(COVERED, 0),
        get(SKEW, 0), get(OFF_PATH, 0),
    )  # fmt: skip
    return [SpanView(*row) for row in zip(*columns, strict=True)]


def adjusted(span: SpanView) -> SpanView:
    """The span by its parent's clock: it and its events are shifted by `skew_ns`."""
    if not span.skew_ns:
        return span
    events = [{**e, "time_ns": (e["time_ns"] or 0) + span.skew_ns} for e in span.events]
    start, end = span.start_ns + span.skew_ns, span.end_ns + span.skew_ns
    return replace(span, start_ns=start, end_ns=end, events=events)


class _Columns:
    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._has = set(table.column_names)

    def __call__(self, name: str, default: Any) -> list[Any]:
        if name not in self._has:
            return [default] * self._table.num_rows
        column = flat(self._table.column(name))
        values = as_values(column)
        return [default if v is None else v for v in values]

    def ids(self, name: str) -> list[str]:
        """A column of ids as hex, "" where null."""
        if name not in self._has:
            return [""] * self._table.num_rows
        column = flat(self._table.column(name))
        width = 2 * column.type.byte_width
        text = column.fill_null(bytes(column.type.byte_width)).buffers()[1]
        shown = memoryview(text)[column.offset * width // 2 : (column.offset + len(column)) * width // 2].hex()
        found = [shown[i : i + width] for i in range(0, len(shown), width)]
        if column.null_count:
            found = [v if known else "" for v, known in zip(found, column.is_valid().to_pylist(), strict=True)]
        return found


def as_values(column: pa.Array) -> list[Any]:
    """An array as Python values, by ways that are quicker than its own where there are such."""
    if column.null_count == len(column):
        return [None] * len(column)
    if pa.types.is_dictionary(column.type):
        words = [*column.dictionary.to_pylist(), None]
        codes = column.indices.fill_null(len(words) - 1) if column.null_count else column.indices
        return [words[c] for c in codes.to_numpy().tolist()]
    if not column.null_count and pa.types.is_primitive(column.type) and not pa.types.is_boolean(column.type):
        return list(column.to_numpy().tolist())
    if pa.types.is_list(column.type) and not len(column.flatten()):
        return [[]] * len(column)
    return list(column.to_pylist())


def _attributes(table: pa.Table, scope: str) -> list[Attributes]:
    """Each row's attributes of one scope."""
    rows: list[list[tuple[str, str, Any]]] = [[] for _ in range(table.num_rows)]
    for column in sorted(table.column_names):
        parsed = parse_attribute_column(column)
        if parsed is not None and parsed.scope == scope:
            _add(rows, parsed, flat(table.column(column)))
    if OVERFLOW in table.column_names:
        for row, pairs in enumerate(table.column(OVERFLOW).to_pylist()):
            for name, text in pairs or ():
                parsed = parse_attribute_column(name)
                if parsed is not None and parsed.scope == scope:
                    rows[row].append((parsed.key, *_overflowed(parsed.type, text)))
    return [tuple(row) for row in rows]


def _add(rows: list[list[tuple[str, str, Any]]], attribute: Attribute, column: pa.Array) -> None:
    """A column's values to the rows that have one."""
    known = np.flatnonzero(column.is_valid()).tolist() if column.null_count else range(len(column))
    values = as_values(column.drop_null() if column.null_count else column)
    for row, value in zip(known, values, strict=True):
        rows[row].append((attribute.key, attribute.type, value))


def _overflowed(type_: str, text: str) -> tuple[str, Any]:
    """A value that was kept as text, in its own type again where it reads as such."""
    try:
        if type_ == "int":
            return type_, int(text)
        if type_ == "float":
            return type_, float(text)
    except ValueError:
        return "str", text
    if type_ == "bool":
        return type_, text == "true"
    return ("str" if type_ == "bytes" else type_), text


def as_json_value(type_: str, value: Any) -> Any:
    """An attribute's value as JSON can hold it: arrays and maps as such, bytes as base64, NaN as text."""
    if type_ == "json":
        return parse_json(value)
    if type_ == "bytes":
        return b64encode(value).decode()
    if (type_ == "float" and value != value) or value in (float("inf"), float("-inf")):
        return str(value)
    return value


def parse_json(text: str | None) -> Any:
    """JSON text as it was stored; the text itself where it is none."""
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def event_attributes(event: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of an event or a link."""
    found = parse_json(event.get("attributes"))
    return found if isinstance(found, dict) else {}
