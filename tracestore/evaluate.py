"""An expression over the rows of a source as a mask: columns are read as they are needed, and only where rows are left.

One small function a type of comparison; nothing here makes a Python object per span.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.model.schema import OVERFLOW
from obs.tracestore.expressions import And, Attribute, Compare, Expr, Field, Intrinsic, Not, Or, check_regex
from obs.tracestore.sources import Attributes, GroupRange, Rows, Source, attributes_of

Mask = npt.NDArray[np.bool_]
_COMPARE: dict[str, Callable[..., pa.Array]] = {
    "=": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip


class SpanRows:
    """Some groups of a source's rows; columns are read once."""

    def __init__(self, source: Source, groups: Rows, attributes: Attributes | None = None) -> None:
        self.source = source
        self.groups = groups
        self.sizes = np.diff(source.group_starts)[groups]
        self.attributes = attributes_of(source.columns) if attributes is None else attributes
        self._columns: dict[str, pa.Array] = {}

    def __len__(self) -> int:
        return int(self.sizes.sum())

    def column(self, name: str) -> pa.Array | None:
        """A column over these rows, None where the source has none of that name."""
        if name not in self.source.columns:
            return None
        if name not in self._columns:
            self._columns[name] = self.source.load(name, self.groups)
        return self._columns[name]

    def numbers(self, name: str) -> npt.NDArray[Any]:
        """A column of numbers; 0 where null or absent."""
        column = self.column(name)
        if column is None:
            return np.zeros(len(self), np.int64)
        return (column.fill_null(0) if column.null_count else column).to_numpy(zero_copy_only=False)

    @cached_property
    def positions(self) -> Rows:
        """The row in the source of each row here."""
        first = self.source.group_starts[self.groups]
        ends = np.cumsum(self.sizes)
        return np.arange(len(self)) + np.repeat(first - (ends - self.sizes), self.sizes)

    @cached_property
    def trace(self) -> Rows:
        """The position of each row's trace among the source's traces."""
        starts = self.source.traces.starts
        whole = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        return whole[self.positions]

    def keep(self, groups: Mask) -> SpanRows:
        """The groups where `groups` holds; columns already read are cut, not read again."""
        if groups.all():
            return self
        kept = SpanRows(self.source, self.groups[groups], self.attributes)
        rows = pa.array(np.repeat(groups, self.sizes))
        kept._columns = {name: column.filter(rows) for name, column in self._columns.items()}
        return kept


def evaluate(expr: Expr, rows: SpanRows) -> Mask:
    """bool[rows]: where the expression holds."""
    if isinstance(expr, And):
        return _all(expr.items, rows)
    if isinstance(expr, Or):
        return np.logical_or.reduce([evaluate(item, rows) for item in expr.items])
    if isinstance(expr, Not):
        return ~evaluate(expr.item, rows)
    groups = possible_groups(expr, rows)
    if groups.all():
        return _compare(expr, rows)
    mask = np.zeros(len(rows), bool)
    if groups.any():
        mask[np.repeat(groups, rows.sizes)] = _compare(expr, rows.keep(groups))
    return mask


def _all(items: tuple[Expr, ...], rows: SpanRows) -> Mask:
    """Each condition is only read where the ones before left rows."""
    mask = np.ones(len(rows), bool)
    for item in items:
        ends = np.cumsum(rows.sizes)
        alive = np.array([mask[e - s : e].any() for s, e in zip(rows.sizes, ends, strict=True)], bool)
        if not alive.any():
            return mask
        if alive.all():
            mask &= evaluate(item, rows)
        else:
            left = np.repeat(alive, rows.sizes)
            mask[left] &= evaluate(item, rows.keep(alive))
    return mask


def possible_groups(expr: Compare, rows: SpanRows) -> Mask:
    """Groups whose statistics do not rule the comparison out."""
    possible = np.ones(len(rows.groups), bool)
    if not isinstance(expr.field, Attribute) or expr.value is None or OVERFLOW in rows.source.columns:
        return possible
    columns = _columns_of(expr.field, rows.attributes)
    ranges = [rows.source.ranges(column) for column, _ in columns]
    if not columns or any(r is None for r in ranges):
        return possible
    found = [_possible(r, expr)[rows.groups] for r in ranges if r is not None]
    return np.logical_or.reduce(found)


def _possible(ranges: GroupRange, expr: Compare) -> Mask:
    possible = ~ranges.empty
    value = expr.value
    if expr.loose or expr.op not in ("=", ">", ">=", "<", "<=") or isinstance(value, bool):
        return possible
    for group in np.flatnonzero(possible & ranges.known).tolist():
        least, greatest = ranges.least[group], ranges.greatest[group]
        text = isinstance(value, str)
        if isinstance(least, str) != text or not isinstance(least, str | int | float):
            continue
        below = expr.op in ("=", "<", "<=") and least > value  # type: ignore[operator]
        above = expr.op in ("=", ">", ">=") and greatest < value  # type: ignore[operator]
        possible[group] = not (below or above)
    return possible


def _columns_of(field: Attribute, attributes: Attributes) -> list[tuple[str, str]]:
    """(column, type) of an attribute."""
    return [(c, t) for c, scope, t in attributes.get(field.key, ()) if field.scope in (None, scope)]


def _compare(expr: Compare, rows: SpanRows) -> Mask:
    found = [values for values in field_columns(expr.field, rows) if values is not None]
    if expr.value is None:
        present = [np.asarray(column.is_valid()) for column, _ in found]
        some = np.logical_or.reduce(present) if present else np.zeros(len(rows), bool)
        return ~some if expr.op == "=" else some
    masks = [compare_column(column, type_, expr) for column, type_ in found]
    return np.logical_or.reduce(masks) if masks else np.zeros(len(rows), bool)


def field_columns(field: Field, rows: SpanRows) -> list[tuple[pa.Array, str]]:
    """The columns that hold a field, with their attribute types."""
    if isinstance(field, Intrinsic):
        column = INTRINSICS[field.name](rows)
        return [] if column is None else [(column, _type_of(column))]
    found = [(rows.column(column), type_) for column, type_ in _columns_of(field, rows.attributes)]
    overflowed = _overflowed(field, rows)
    if overflowed is not None:
        found.append((overflowed, "text"))
    return [(column, type_) for column, type_ in found if column is not None]


def _overflowed(field: Attribute, rows: SpanRows) -> pa.Array | None:
    """An attribute's values in the overflow map, as text."""
    column = rows.column(OVERFLOW)
    if column is None or column.null_count == len(column):
        return None
    scopes = [field.scope] if field.scope else ["attr", "resource", "scope"]
    starts = tuple(f"{scope}.{field.key}:" for scope in scopes)
    texts = [
        next((v for k, v in pairs or () if k.startswith(starts) and ":" not in k[len(starts[0]) :]), None)
        for pairs in column.to_pylist()
    ]
    return pa.array(texts, pa.string())


def _type_of(column: pa.Array) -> str:
    type_ = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_boolean(type_):
        return "bool"
    return "str" if pa.types.is_string(type_) else "int"


def compare_column(column: pa.Array, type_: str, expr: Compare) -> Mask:
    """Where a column's value satisfies the comparison; nowhere, where the types do not go together."""
    if pa.types.is_dictionary(column.type):
        return _by_code(column, compare_column(column.dictionary, type_, expr))
    value = as_literal(expr.value, type_) if expr.loose or type_ == "text" else expr.value
    if not _comparable(type_, value, expr.op):
        return np.zeros(len(column), bool)
    if expr.op in ("=~", "!~"):
        found = pc.match_substring_regex(column, check_regex(str(value)))
        found = pc.invert(found) if expr.op == "!~" else found
    else:
        found = _COMPARE[expr.op](column, _scalar(value, column.type))
    return (found.fill_null(False) if found.null_count else found).to_numpy(zero_copy_only=False)


def _by_code(column: pa.Array, table: Mask) -> Mask:
    codes = column.indices
    if not codes.null_count:
        return table[codes.to_numpy()] if len(table) else np.zeros(len(column), bool)
    return np.append(table, False)[codes.fill_null(len(table)).to_numpy(zero_copy_only=False)]


def as_literal(text: Any, type_: str) -> Any:
    """Text as a user typed it, read as a value of an attribute's type; None where it is no such value."""
    text = str(text).lower() if isinstance(text, bool) else str(text)
    try:
        if type_ == "int":
            return int(text)
        if type_ == "float":
            return float(text)
        if type_ == "bytes":
            return bytes.fromhex(text)
    except ValueError:
        return None
    if type_ == "bool":
        return {"true": True, "false": False}.get(text.lower())
    return text


def _comparable(type_: str, value: Any, op: str) -> bool:
    if type_ in ("str", "json", "text"):
        return isinstance(value, str)
    if op in ("=~", "!~") or value is None:
        return False
    if type_ == "bool":
        return isinstance(value, bool) and op in ("=", "!=")
    if type_ == "bytes":
        return isinstance(value, bytes)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scalar(value: Any, type_: pa.DataType) -> pa.Scalar:
    if isinstance(value, float) and pa.types.is_integer(type_) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        value = float(value)
    return pa.scalar(value)


def _fixed(name: str) -> Callable[[SpanRows], pa.Array | None]:
    return lambda rows: rows.column(name)


def _number(name: str) -> Callable[[SpanRows], pa.Array | None]:
    return lambda rows: pa.array(rows.numbers(name).astype(np.int64))


def _duration(rows: SpanRows) -> pa.Array:
    return pa.array(np.maximum(rows.numbers("end_ns") - rows.numbers("start_ns"), 0))


def _of_trace(values: Callable[[Any], npt.NDArray[Any]], texts: str | None = None) -> Callable[[SpanRows], pa.Array]:
    """A field of the trace, at each of its spans."""

    def column(rows: SpanRows) -> pa.Array:
        found = values(rows.source.traces)[rows.trace]
        if texts is None:
            return pa.array(found)
        words = pa.array(getattr(rows.source.traces, texts), pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(found, mask=found < 0), words)

    return column


def _hex(name: str) -> Callable[[SpanRows], pa.Array | None]:
    def column(rows: SpanRows) -> pa.Array | None:
        ids = rows.column(name)
        return None if ids is None else pa.array([None if v is None else v.hex() for v in ids.to_pylist()], pa.string())

    return column


def _parent_left(rows: SpanRows) -> pa.Array:
    """The left bound of the parent, -1 at tops."""
    left, parent = rows.numbers("nested_left"), rows.numbers("parent_position").astype(np.int64)
    starts = rows.source.traces.starts[rows.trace]
    base = rows.positions[:1].sum()
    at = np.clip(starts + parent - base, 0, max(len(left) - 1, 0))
    inside = (starts + parent >= base) & (parent >= 0)
    return pa.array(np.where(inside, left[at], np.where(parent < 0, -1, 0)).astype(np.int64))


INTRINSICS: dict[str, Callable[[SpanRows], pa.Array | None]] = {
    "name": _fixed("name"),
    "kind": _number("kind"),
    "status": _number("status_code"),
    "statusMessage": _fixed("status_message"),
    "duration": _duration,
    "start": _number("start_ns"),
    "scopeName": _fixed("scope_name"),
    "scopeVersion": _fixed("scope_version"),
    "traceDuration": _of_trace(lambda t: t.duration),
    "rootServiceName": _of_trace(lambda t: t.root_service, "services"),
    "rootName": _of_trace(lambda t: t.root_name, "names"),
    "trace:id": _hex("trace_id"),
    "span:id": _hex("span_id"),
    "span:parentID": _hex("parent_span_id"),
    "nestedSetLeft": _fixed("nested_left"),
    "nestedSetRight": _fixed("nested_right"),
    "nestedSetParent": _parent_left,
    "parentPosition": _fixed("parent_position"),
}
"""Intrinsic fields by name, and the columns they are read from."""
