"""Sums of spans by series and step: whole columns in, float64[states, steps] a series out.

A series is known by its key: the values it is grouped by, and its bucket. Keys become Python values, spans never.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.errors import QueryLimit
from obs.tracestore import limits
from obs.tracestore.catalog import numbered
from obs.tracestore.terms import Codes

Rows = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Key = tuple[tuple[tuple[str, Any], ...], int]
"""((type, value) of each term, bucket)."""


def _count(cell: Rows, _: Values, cells: int) -> Values:
    return np.asarray(np.bincount(cell, minlength=cells), np.float64)


def _sum(cell: Rows, values: Values, cells: int) -> Values:
    return np.asarray(np.bincount(cell, weights=values, minlength=cells), np.float64)


def _extreme(reduce: np.ufunc, nothing: float) -> Callable[[Rows, Values, int], Values]:
    def of(cell: Rows, values: Values, cells: int) -> Values:
        found = np.full(cells, nothing)
        if len(cell):
            order = np.argsort(cell, kind="stable")
            ordered = cell[order]
            first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
            found[ordered[first]] = reduce.reduceat(values[order], first)
        return found

    return of


STATES: dict[str, tuple[Callable[[Rows, Values, int], Values], np.ufunc]] = {
    "count": (_count, np.add),
    "sum": (_sum, np.add),
    "min": (_extreme(np.minimum, np.inf), np.minimum),
    "max": (_extreme(np.maximum, -np.inf), np.maximum),
}
"""How each sum is made of a part's values, and how the sums of two parts are joined."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Which series each hit belongs to, and the keys of those."""

    number: Rows
    keys: Sequence[Key]


def group(terms: Sequence[Codes], hits: Rows, bucket: Rows | None) -> Groups:
    """Hits by the values of the terms and by bucket. Raises: QueryLimit where those are too many."""
    number = np.zeros(len(hits), np.int64)
    parts: list[Rows] = []
    for codes in [*(t.codes[hits] for t in terms), np.zeros_like(number) if bucket is None else bucket]:
        values, place = _distinct(codes)
        if not parts:
            number, parts = place, [values]
            _check(len(values))
            continue
        packed, number = _distinct(number * max(len(values), 1) + place)
        _check(len(packed))
        parts = [p[packed // max(len(values), 1)] for p in parts] + [values[packed % max(len(values), 1)]]
    keys = [_key(terms, combination) for combination in zip(*(p.tolist() for p in parts), strict=True)]
    return Groups(number, keys)


def _distinct(codes: Rows) -> tuple[Rows, Rows]:
    """The distinct codes, ascending, and which of them each one is."""
    if not len(codes):
        return codes, codes
    least = codes.min()
    distinct, place = numbered(codes - least, int(codes.max() - least) + 1)
    return distinct + least, place


def _key(terms: Sequence[Codes], combination: tuple[int, ...]) -> Key:
    *codes, bucket = combination
    return tuple((t, v) for v, t in (term.value(c) for term, c in zip(terms, codes, strict=True))), bucket


class Cells:
    """Sums that grow part by part."""

    def __init__(self, states: Sequence[str], steps: int) -> None:
        self.states, self.steps = states, steps
        self.sums: dict[Key, Values] = {}

    def add(self, groups: Groups, step: Rows, values: Values) -> None:
        """Count some spans in. Raises: QueryLimit."""
        _check(len(self.sums) + sum(key not in self.sums for key in groups.keys), self.steps)
        cells = len(groups.keys) * self.steps
        cell = groups.number * self.steps + step
        made = [STATES[name][0](cell, values, cells).reshape(-1, self.steps) for name in self.states]
        for key, sums in zip(groups.keys, np.stack(made, axis=1), strict=True):
            self.join(key, sums)

    def join(self, key: Key, new: Values) -> None:
        """Count in the sums of one series, which are not the caller's any more."""
        old = self.sums.setdefault(key, new)
        if old is not new:
            for name, sums, more in zip(self.states, old, new, strict=True):
                STATES[name][1](sums, more, out=sums)

    def merge(self, other: Cells) -> None:
        """Count in what another has."""
        for key, sums in other.sums.items():
            self.join(key, sums)
        _check(len(self.sums), self.steps)


def _check(series: int, steps: int = 1) -> None:
    if series > limits.MAX_METRIC_SERIES:
        raise QueryLimit(
            f"cannot make {series} series (or buckets): the limit is {limits.MAX_METRIC_SERIES}; group by fewer values"
        )
    check_cells(series, steps)


def check_cells(series: int, steps: int) -> None:
    """Raises: QueryLimit where so many series of so many steps are more than may be held."""
    if series * steps > limits.MAX_METRIC_CELLS:
        raise QueryLimit(
            f"cannot make {series} series (or buckets) of {steps} steps: the limit is {limits.MAX_METRIC_CELLS} "
            "points; group by or compare fewer values, or take a longer step"
        )
