"""An expression over the rows of a source as a mask: columns are read as they are needed, and only where rows are left.

`fields` says which columns hold a field, `comparing` compares one, `terms` computes. Nothing makes a Python object per
span.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.model.schema import OVERFLOW
from obs.tracestore.comparing import compare_column
from obs.tracestore.expressions import (
    And,
    Attribute,
    Compare,
    CompareTerms,
    Expr,
    Not,
    OfEach,
    Or,
    Planned,
    names_trace,
)
from obs.tracestore.fields import attribute_columns, field_columns
from obs.tracestore.nested import each
from obs.tracestore.sources import Attributes, BlockSource, GroupRange, Rows, Source, attributes_of
from obs.tracestore.terms import compare_terms
from obs.tracestore.traceslices import TraceSlices

Mask = npt.NDArray[np.bool_]


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

    def equal_texts(self, name: str, text: str) -> Mask | None:
        """Which rows have this text in a column; None where the column has to be read, or was."""
        if name in self._columns or not isinstance(self.source, BlockSource):
            return None
        return self.source.equal_texts(name, self.groups, text)

    def places(self, rows: Rows) -> Rows:
        """The rows in the source of some rows here."""
        ends = np.cumsum(self.sizes)
        group = np.searchsorted(ends, rows, side="right")
        found: Rows = rows + (self.source.group_starts[self.groups] - (ends - self.sizes))[group]
        return found

    @cached_property
    def positions(self) -> Rows:
        """The row in the source of each row here."""
        first = self.source.group_starts[self.groups]
        ends = np.cumsum(self.sizes)
        return np.arange(len(self)) + np.repeat(first - (ends - self.sizes), self.sizes)

    def here(self, places: Rows) -> Rows:
        """Of rows of the source, all of these groups, where they stand here."""
        first = self.source.group_starts[self.groups]
        group = np.searchsorted(first, places, side="right") - 1
        found: Rows = places - first[group] + (np.cumsum(self.sizes) - self.sizes)[group]
        return found

    def among(self, places: Rows) -> Rows:
        """Where those of some rows of the source, ascending, stand that are here."""
        group = np.searchsorted(self.source.group_starts, places, side="right") - 1
        return self.here(places[np.isin(group, self.groups)])

    @cached_property
    def trace(self) -> Rows:
        """The position of each row's trace among the source's traces."""
        starts = self.source.traces.starts
        whole = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        return whole[self.positions]

    @cached_property
    def slices(self) -> TraceSlices:
        """Where each trace stands among these rows."""
        return TraceSlices(self)

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
        return np.logical_or.reduce([np.zeros(len(rows), bool), *(evaluate(item, rows) for item in expr.items)])
    if isinstance(expr, Not):
        return ~evaluate(expr.item, rows)
    if isinstance(expr, CompareTerms):
        return compare_terms(expr, rows)
    if isinstance(expr, Planned):
        found: Mask = expr.mask(rows)
        return found
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
        if alive.all() or names_trace(item):
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
    columns = attribute_columns(expr.field, rows.attributes)
    ranges = [rows.source.ranges(column) for column, _ in columns]
    if not columns or any(r is None for r in ranges):
        return possible
    listed = [type_ == "json" for _, type_ in columns]  # a list's text says nothing of its elements
    found = [
        (~r.empty if of_list else _possible(r, expr))[rows.groups]
        for r, of_list in zip(ranges, listed, strict=True) if r is not None
    ]  # fmt: skip
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


def _compare(expr: Compare, rows: SpanRows) -> Mask:
    if isinstance(expr.field, OfEach):
        return _compare_each(expr, expr.field, rows)
    by_pages = _equal_texts(expr, rows)
    return _any_column(expr, field_columns(expr.field, rows), len(rows)) if by_pages is None else by_pages


def _equal_texts(expr: Compare, rows: SpanRows) -> Mask | None:
    """Where an attribute is a text, by the pages of its columns; None where one of them has to be read as a whole."""
    if not isinstance(expr.field, Attribute) or expr.op != "=" or not isinstance(expr.value, str):
        return None
    columns = attribute_columns(expr.field, rows.attributes)
    as_text = ("str", "json") if expr.loose else ("str",)
    if OVERFLOW in rows.source.columns or not all(type_ in as_text for _, type_ in columns):
        return None
    found = np.zeros(len(rows), bool)
    for column, _ in columns:
        hits = rows.equal_texts(column, expr.value)
        if hits is None:
            return None
        found |= hits
    return found


def _any_column(expr: Compare, found: Sequence[tuple[pa.Array, str]], rows: int) -> Mask:
    """Where one of the columns satisfies the comparison."""
    if expr.value is None:
        present = [np.asarray(column.is_valid()) for column, _ in found]
        some = np.logical_or.reduce(present) if present else np.zeros(rows, bool)
        return ~some if expr.op == "=" else some
    masks = [compare_column(column, type_, expr) for column, type_ in found]
    return np.logical_or.reduce(masks) if masks else np.zeros(rows, bool)


def _compare_each(expr: Compare, field: OfEach, rows: SpanRows) -> Mask:
    """Spans one of whose events or links satisfies the comparison; `= nil` where none has the field."""
    owner, columns = each(field, rows)
    mask = np.zeros(len(rows), bool)
    absent = expr.value is None and expr.op == "="
    asked = Compare(field, "!=", None) if absent else expr
    mask[owner[_any_column(asked, columns, len(owner))]] = True
    return ~mask if absent else mask
