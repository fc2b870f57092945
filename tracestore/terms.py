"""Values of a span that are computed: a field, a constant, arithmetic; compared with each other, or grouped by.

A span without a field has no value of a term that reads it. All arithmetic is in floating point, as Tempo's; two
fields of whole numbers compare exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.tracestore.comparing import COMPARE
from obs.tracestore.expressions import Arithmetic, CompareTerms, Constant, Term
from obs.tracestore.fields import Columns, field_columns

if TYPE_CHECKING:
    from obs.tracestore.evaluate import SpanRows

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[Any]
_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.fmod, "^": np.power,
}  # fmt: skip
_TESTS: dict[str, Callable[[Any, Any], Any]] = {
    "=": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
_TEXT = ("str", "text", "json")


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers over rows; those where not `valid` mean nothing."""

    values: Values
    valid: Mask


def calculate(op: str, left: Any, right: Any) -> Any:
    """One operation over numbers, arrays or not; division by zero is infinite, or no number."""
    with np.errstate(all="ignore"):
        return _OPERATIONS[op](np.asarray(left, np.float64), np.asarray(right, np.float64))


def holds(op: str, left: Any, right: Any) -> Any:
    """Whether the comparison of numbers holds."""
    return _TESTS[op](left, right)


def numbers_of(term: Term, rows: SpanRows) -> Numbers:
    """A term's numbers; not valid where it is no number."""
    if isinstance(term, Arithmetic):
        left, right = numbers_of(term.left, rows), numbers_of(term.right, rows)
        return Numbers(calculate(term.op, left.values, right.values), left.valid & right.valid)
    if isinstance(term, Constant):
        is_number = isinstance(term.value, int | float) and not isinstance(term.value, bool)
        return Numbers(np.full(len(rows), term.value if is_number else 0), np.full(len(rows), is_number))
    columns = [c for c, type_ in field_columns(term, rows) if type_ in ("int", "float")]
    found = Numbers(np.zeros(len(rows), np.int64), np.zeros(len(rows), bool))
    for column in columns:
        valid = np.asarray(column.is_valid())
        values = (column.fill_null(0) if column.null_count else column).to_numpy(zero_copy_only=False)
        found = Numbers(np.where(found.valid, found.values, values), found.valid | valid) if len(columns) > 1 else (
            Numbers(values, valid))  # fmt: skip
    return found


def _of_kind(term: Term, rows: SpanRows, kinds: tuple[str, ...], type_: pa.DataType) -> pa.Array | None:
    """A term's values of some types as one column; None where it has none."""
    if isinstance(term, Constant):
        fits = isinstance(term.value, str if kinds == _TEXT else bool)
        return pa.array([term.value] * len(rows), type_) if fits else None
    if isinstance(term, Arithmetic):
        return None
    columns = [c.cast(type_) for c, t in field_columns(term, rows) if t in kinds]
    return pc.coalesce(*columns) if len(columns) > 1 else columns[0] if columns else None


def compare_terms(expr: CompareTerms, rows: SpanRows) -> Mask:
    """bool[rows]: where the comparison holds."""
    left, right = numbers_of(expr.left, rows), numbers_of(expr.right, rows)
    mask: Mask = holds(expr.op, left.values, right.values) & left.valid & right.valid
    for kinds, type_ in ((_TEXT, pa.string()), (("bool",), pa.bool_())):
        if type_ == pa.bool_() and expr.op not in ("=", "!="):
            continue
        texts = [_of_kind(side, rows, kinds, type_) for side in (expr.left, expr.right)]
        if texts[0] is not None and texts[1] is not None:
            found = COMPARE[expr.op](texts[0], texts[1])
            mask = mask | found.fill_null(False).to_numpy(zero_copy_only=False)
    return mask


@dataclass(frozen=True, slots=True)
class Codes:
    """A term's distinct values numbered: -1 where a span has none."""

    codes: npt.NDArray[np.int64]
    parts: Columns  # the values of each type; codes go on from one part to the next

    def value(self, code: int) -> tuple[Any, str]:
        """(value, attribute type) of a code; (None, "nil") for -1."""
        if code < 0:
            return None, "nil"
        for column, type_ in self.parts:
            if code < len(column):
                return column[code].as_py(), type_
            code -= len(column)
        raise IndexError(code)


def codes_of_term(term: Term, rows: SpanRows) -> Codes:
    """The values of a term over the rows, to group by."""
    if isinstance(term, Constant | Arithmetic):
        found = numbers_of(term, rows)
        columns: Columns = [(pa.array(found.values, mask=~found.valid), "float")]
    else:
        columns = field_columns(term, rows)
    codes, before = np.full(len(rows), -1, np.int64), 0
    parts: Columns = []
    for column, type_ in columns:
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        own = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        codes = np.where((codes < 0) & (own >= 0), own + before, codes)
        parts.append((encoded.dictionary, type_))
        before += len(encoded.dictionary)
    return Codes(codes, parts)
