"""`| name op value`: keep rows by a label, as text, number, duration or size; with `and`, `or`, brackets.

A comparison with a number keeps the rows that carry an error, and those whose parsed label cannot be read, which then
carry one (Loki, "Log queries", Label filter expression). A stored attribute that is no number just does not match.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.logstore import ip
from obs.logstore.chunks import Rows, encoded
from obs.logstore.indexing import ATTRIBUTES, TRACES
from obs.logstore.logql.stages.errors import DETAILS, ERROR, FILTER, failed
from obs.logstore.logql.stages.made_labels import with_found
from obs.logstore.logql.syntax import AllOf, AnyOf, Comparison, Condition, LabelFilter, Unit
from obs.logstore.logql.units import bytes_value, duration_ns
from obs.logstore.matching import label_mask, values_match
from obs.logstore.selection import Requirement
from obs.logstore.tokens import phrase_needle
from obs.model.labels import Matcher, MatchOp

Mask = npt.NDArray[np.bool_]
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_READ: dict[Unit, Callable[[str], float]] = {
    Unit.NUMBER: float,
    Unit.DURATION: lambda text: duration_ns(text) / 1e9,
    Unit.BYTES: bytes_value,
}


class LabelFilterStage:
    """A condition on labels."""

    makes_labels = False

    def __init__(self, syntax: LabelFilter) -> None:
        self._condition = syntax.condition

    def apply(self, rows: Rows) -> Rows:
        """Keep the rows where the condition holds."""
        found = _Errors(failed(rows), np.full(len(rows), None, object))
        mask = condition_mask(rows, self._condition, found)
        if any(found.details):
            rows = with_found(rows, found.labels())
        return rows.keep(mask)

    def requirements(self) -> tuple[Requirement, ...]:
        """A trace id asked for by value is a token of the trace filter, or of an attribute of that name."""
        parts = self._condition.parts if isinstance(self._condition, AllOf) else (self._condition,)
        found = (p for p in parts if isinstance(p, Comparison) and p.name == "trace_id" and p.op == "=")
        return tuple(Requirement((TRACES, ATTRIBUTES), phrase_needle(p.text)) for p in found if _is_trace_id(p.text))


def _is_trace_id(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


@dataclass(slots=True)
class _Errors:
    """Which rows carry an error, and what this stage could not read: bool[rows], object[rows] of str or None."""

    failed: Mask
    details: npt.NDArray[np.object_]

    def labels(self) -> dict[str, pa.Array]:
        """The labels that tell what could not be read."""
        details = self.details.tolist()
        kinds = [None if why is None else FILTER for why in details]
        return {ERROR: pa.array(kinds, pa.string()), DETAILS: pa.array(details, pa.string())}


def condition_mask(rows: Rows, condition: Condition, errors: _Errors) -> Mask:
    """Whether each row satisfies a condition; later parts see only the rows that are not decided yet."""
    if isinstance(condition, Comparison):
        return comparison_mask(rows, condition, errors)
    decides = isinstance(condition, AnyOf)  # what a part says of a row that no later part is asked for
    open_ = np.arange(len(rows))
    mask = np.full(len(rows), not decides)
    for part in condition.parts:
        if not len(open_):
            break
        whole = len(open_) == len(rows)
        some = rows if whole else rows.take(open_)
        theirs = errors if whole else _Errors(errors.failed[open_], errors.details[open_])
        hit = condition_mask(some, part, theirs)
        if not whole:
            errors.failed[open_], errors.details[open_] = theirs.failed, theirs.details
        mask[open_] = hit
        open_ = open_[hit != decides]
    return mask


def comparison_mask(rows: Rows, test: Comparison, errors: _Errors) -> Mask:
    """One comparison on every row; an absent label fails."""
    if test.unit is Unit.TEXT:
        return text_mask(rows, Matcher(test.name, MatchOp(test.op), test.text))
    if test.unit is Unit.ADDRESS:
        return _address_mask(rows, test)
    column = rows.numbers(test.name) if test.unit is Unit.NUMBER else None
    if column is not None:
        values = pc.cast(column, pa.float64(), safe=False).fill_null(math.nan).to_numpy(zero_copy_only=False)
    else:
        values = read_values(rows.label(test.name), len(rows), _READ[test.unit])
    mask: Mask = _COMPARE[test.op](values, test.number) & ~np.isnan(values)
    if test.name in rows.derived:
        _tell(rows.derived[test.name], np.isnan(values) & ~errors.failed, test.unit, errors)
    return mask | errors.failed


def _tell(column: pa.Array, unread: Mask, unit: Unit, errors: _Errors) -> None:
    """Mark the rows whose label is there but cannot be read."""
    for row in np.flatnonzero(unread & column.is_valid().to_numpy(zero_copy_only=False)).tolist():
        errors.details[row] = f"cannot read {str(column[row].as_py())[:100]!r} as a {unit.value}"
        errors.failed[row] = True


def _address_mask(rows: Rows, test: Comparison) -> Mask:
    """Labels that are an address of a range; one that is none is in no range."""
    inside = ip.in_range(test.text)

    def hits(values: pa.Array) -> Mask:
        addresses = map(ip.parsed, values.to_pylist())
        return np.array([address is not None and inside(address) for address in addresses], np.bool_)

    mask = label_mask(rows.label(test.name), len(rows), hits)
    return ~mask if test.op == "!=" else mask


def text_mask(rows: Rows, matcher: Matcher) -> Mask:
    """A matcher on every row; an absent label is ""."""
    apart = matcher.name not in rows.derived and matcher.name not in rows.chunk.attributes
    if matcher.name in ("trace_id", "span_id") and apart:
        mask = _id_mask(rows, matcher)
        if mask is not None:
            return mask
    return label_mask(rows.label(matcher.name), len(rows), lambda values: values_match(values, matcher))


def _id_mask(rows: Rows, matcher: Matcher) -> Mask | None:
    """Ids compare as bytes, without their text."""
    column = rows.column(matcher.name)
    if column is None or matcher.op is not MatchOp.EQ or re.fullmatch(r"[0-9a-f]+", matcher.value) is None:
        return None
    if len(matcher.value) != column.type.byte_width * 2:
        return np.zeros(len(rows), np.bool_)
    wanted = pa.scalar(bytes.fromhex(matcher.value), column.type)
    mask: Mask = pc.equal(column, wanted).fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def read_values(array: pa.Array | None, rows: int, read: Callable[[str], float]) -> npt.NDArray[np.float64]:
    """A label's values as numbers, NaN where they are none: float64[rows]."""
    if array is None:
        return np.full(rows, math.nan)
    distinct, codes = encoded(array)
    table = np.array([*(_number(v, read) for v in distinct), math.nan])
    return table[codes]


def _number(text: str | None, read: Callable[[str], float]) -> float:
    try:
        return math.nan if text is None else read(text)
    except ValueError:
        return math.nan
