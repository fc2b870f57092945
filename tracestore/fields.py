"""Which columns hold a field of spans: attributes of any type, intrinsic fields, the parent, events and links.

One column a type, aligned with the rows; null where a span has no such value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.model.schema import OVERFLOW
from obs.tracestore.expressions import Attribute, Field, Intrinsic, OfEach, OfParent
from obs.tracestore.nested import first_of_each, hex_text
from obs.tracestore.sources import Attributes

if TYPE_CHECKING:
    from obs.tracestore.evaluate import SpanRows

Columns = list[tuple[pa.Array, str]]


def field_columns(field: Field, rows: SpanRows) -> Columns:
    """(column, attribute type) of all that hold a field; of events and links the first that has it."""
    if isinstance(field, Intrinsic):
        column = INTRINSICS[field.name](rows)
        return [] if column is None else [(column, type_of(column))]
    if isinstance(field, OfParent):
        parents = rows.slices.parents()
        taken = pa.array(parents, mask=parents < 0)
        return [(column.take(taken), type_) for column, type_ in field_columns(field.field, rows)]
    if isinstance(field, OfEach):
        return first_of_each(field, rows)
    found = [(rows.column(column), type_) for column, type_ in attribute_columns(field, rows.attributes)]
    overflowed = _overflowed(field, rows)
    if overflowed is not None:
        found.append((overflowed, "text"))
    return [(column, type_) for column, type_ in found if column is not None]


def attribute_columns(field: Attribute, attributes: Attributes) -> list[tuple[str, str]]:
    """(name of the column, type) of an attribute."""
    return [(c, t) for c, scope, t in attributes.get(field.key, ()) if field.scope in (None, scope)]


def type_of(column: pa.Array) -> str:
    """The attribute type of an intrinsic field's column."""
    type_ = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_boolean(type_):
        return "bool"
    return "str" if pa.types.is_string(type_) else "int"


def _overflowed(field: Attribute, rows: SpanRows) -> pa.Array | None:
    """An attribute's values in the overflow map, as text."""
    column = rows.column(OVERFLOW)
    if column is None or column.null_count == len(column):
        return None
    scopes = [field.scope] if field.scope else ["attr", "resource", "scope"]
    keys, values = _entries(column)
    hits = np.zeros(len(keys), bool)
    for scope in scopes:
        start = f"{scope}.{field.key}:"
        found = pc.starts_with(keys, start)
        named = found.to_numpy(zero_copy_only=False)
        typed = pc.equal(pc.find_substring(pc.utf8_slice_codeunits(keys, len(start)), ":"), -1)
        hits |= named & typed.to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(column)), _lengths(column))
    at = np.full(len(column), -1)
    chosen = np.flatnonzero(hits)[::-1]
    at[owner[chosen]] = chosen
    return values.take(pa.array(at, mask=at < 0))


def _entries(column: pa.MapArray) -> tuple[pa.Array, pa.Array]:
    """Keys and values of a map column, those of its null rows left out."""
    lengths, offsets = _lengths(column), np.asarray(column.offsets).astype(np.int64)
    first = offsets[:-1] - np.append(0, np.cumsum(lengths)[:-1])
    at = pa.array(np.arange(int(lengths.sum())) + np.repeat(first, lengths))
    return column.keys.take(at), column.items.take(at)


def _lengths(column: pa.Array) -> npt.NDArray[np.int64]:
    lengths = np.diff(np.asarray(column.offsets)).astype(np.int64)
    return np.where(np.asarray(column.is_valid()), lengths, 0)


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
        return None if ids is None else hex_text(ids)

    return column


def _parent_left(rows: SpanRows) -> pa.Array:
    """The left bound of the parent, -1 at tops."""
    parents = rows.slices.parents()
    left, _ = rows.slices.bounds
    return pa.array(np.where(parents < 0, -1, left[parents]).astype(np.int64))


def _child_count(rows: SpanRows) -> pa.Array:
    parents = rows.slices.parents()
    return pa.array(np.bincount(parents[parents >= 0], minlength=len(rows)).astype(np.int64))


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
    "childCount": _child_count,
}
"""Intrinsic fields by name, and the columns they are read from."""
