"""Numbers of spansets: `count() avg() min() max() sum()` over the spans of each, constants, arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.tracestore.expressions import Field, Term, fields_of
from obs.tracestore.terms import calculate, numbers_of
from obs.tracestore.traceql.spansets import Spansets

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PerSet:
    """float64[spansets]; those where not `valid` have no such number."""

    values: npt.NDArray[Any]
    valid: Mask


@dataclass(frozen=True, slots=True)
class Number:
    """A constant; durations are in ns."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:g}" if isinstance(self.value, float) else str(self.value)

    def of(self, sets: Spansets) -> PerSet:
        """The same for all."""
        return PerSet(np.full(sets.count, self.value, np.float64), np.ones(sets.count, bool))

    def fields(self) -> Iterator[Field]:
        """None."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`name` is a key of AGGREGATES; `term` None counts spans."""

    name: str
    term: Term | None

    def __str__(self) -> str:
        return f"{self.name}({'' if self.term is None else self.term})"

    def of(self, sets: Spansets) -> PerSet:
        """Over the spans of each spanset that have a value; none, where none has."""
        owner = sets.owner[sets.hits]
        if self.term is None:
            return PerSet(np.bincount(owner, minlength=sets.count).astype(np.float64), np.ones(sets.count, bool))
        numbers = numbers_of(self.term, sets.rows)
        valid = numbers.valid[sets.hits]
        owner, values = owner[valid], numbers.values[sets.hits[valid]].astype(np.float64)
        count = np.bincount(owner, minlength=sets.count)
        return PerSet(AGGREGATES[self.name](owner, values, count), count > 0)

    def fields(self) -> Iterator[Field]:
        """Those of the term."""
        return fields_of(self.term)


@dataclass(frozen=True, slots=True)
class Calculation:
    """`left op right`."""

    op: str
    left: Scalar
    right: Scalar

    def __str__(self) -> str:
        return f"({self.left} {self.op} {self.right})"

    def of(self, sets: Spansets) -> PerSet:
        """Where both sides have a number."""
        left, right = self.left.of(sets), self.right.of(sets)
        return PerSet(calculate(self.op, left.values, right.values), left.valid & right.valid)

    def fields(self) -> Iterator[Field]:
        """Those of both sides."""
        yield from self.left.fields()
        yield from self.right.fields()


Scalar = Number | Aggregate | Calculation


def _sums(owner: Any, values: Any, count: Any) -> Any:
    return np.bincount(owner, weights=values, minlength=len(count))


def _means(owner: Any, values: Any, count: Any) -> Any:
    return _sums(owner, values, count) / np.maximum(count, 1)


def _extremes(least: bool) -> Callable[[Any, Any, Any], Any]:
    reduce = np.minimum if least else np.maximum

    def of(owner: Any, values: Any, count: Any) -> Any:
        order = np.argsort(owner, kind="stable")
        found = np.zeros(len(count))
        some = np.flatnonzero(count)
        if len(some):
            first = np.append(0, np.cumsum(count[some])[:-1])
            found[some] = reduce.reduceat(values[order], first)
        return found

    return of


AGGREGATES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "count": lambda _owner, _values, count: count.astype(np.float64),
    "sum": _sums,
    "avg": _means,
    "min": _extremes(True),
    "max": _extremes(False),
}
"""(spanset of each value, value, values a spanset) → float64[spansets]."""
