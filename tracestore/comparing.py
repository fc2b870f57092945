"""One column compared with one value: numbers with numbers, text with text; a list holds what one of its elements does.

A null satisfies nothing. `!=` and `!~` of a list ask it of every element. Source: Grafana Tempo, "TraceQL", arrays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.tracestore.expressions import Compare, check_regex

Mask = npt.NDArray[np.bool_]
COMPARE: dict[str, Callable[..., Any]] = {
    "=": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip
_TYPES = {str: "str", bool: "bool", int: "int", float: "float"}


def compare_column(column: pa.Array, type_: str, expr: Compare) -> Mask:
    """Where a column's value satisfies the comparison; nowhere, where the types do not go together."""
    if pa.types.is_dictionary(column.type):
        return _by_code(column, compare_column(column.dictionary, type_, expr))
    if type_ == "json" and not expr.loose:
        encoded = column.dictionary_encode()
        return _by_code(encoded, _compare_json(encoded.dictionary, expr))
    value = as_literal(expr.value, type_) if expr.loose or type_ == "text" else expr.value
    if not _comparable(type_, value, expr.op):
        return np.zeros(len(column), bool)
    if expr.op in ("=~", "!~"):
        found = pc.match_substring_regex(column, check_regex(str(value)))
        found = pc.invert(found) if expr.op == "!~" else found
    else:
        found = COMPARE[expr.op](column, _scalar(value, column.type))
    return (found.fill_null(False) if found.null_count else found).to_numpy(zero_copy_only=False)


def _by_code(column: pa.Array, table: Mask) -> Mask:
    codes = column.indices
    if not codes.null_count:
        return table[codes.to_numpy()] if len(table) else np.zeros(len(column), bool)
    return np.append(table, False)[codes.fill_null(len(table)).to_numpy(zero_copy_only=False)]


def _compare_json(texts: pa.Array, expr: Compare) -> Mask:
    """Over distinct texts of lists and maps: a list by its elements, anything else as the text that it is."""
    values = [_parsed(text) for text in texts.to_pylist()]
    lists = np.array([isinstance(v, list) for v in values], bool)
    owner = np.repeat(np.arange(len(values)), [len(v) if isinstance(v, list) else 0 for v in values])
    hits = np.zeros(len(owner), bool)
    for column, type_ in typed_columns([e for v in values if isinstance(v, list) for e in v]):
        hits |= compare_column(column, type_, expr)
    count = np.bincount(owner[hits], minlength=len(values))
    every = expr.op in ("!=", "!~")
    held = (count == np.bincount(owner, minlength=len(values))) if every else count > 0
    return np.where(lists, held, compare_column(texts, "str", expr))


def _parsed(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def typed_columns(values: Sequence[Any]) -> list[tuple[pa.Array, str]]:
    """Values of JSON as one column for each type, null where a value is of another."""
    kinds = [_TYPES.get(type(v)) for v in values]
    return [(_column(values, kinds, kind), kind) for kind in dict.fromkeys(k for k in kinds if k is not None)]


def _column(values: Sequence[Any], kinds: Sequence[str | None], kind: str) -> pa.Array:
    own = [v if k == kind else None for v, k in zip(values, kinds, strict=True)]
    if kind == "int" and any(v is not None and not -(2**63) <= v < 2**63 for v in own):
        own = [None if v is None else float(v) for v in own]
    return pa.array(own)


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
