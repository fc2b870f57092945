"""`left op right` between spansets; both sides look at the same spans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from obs.tracestore.bounds import Bound
from obs.tracestore.expressions import Field
from obs.tracestore.summaries import TraceRows
from obs.tracestore.traceql.operators import OPERATORS
from obs.tracestore.traceql.operators.operator import Sides
from obs.tracestore.traceql.spansets import Spansets
from obs.tracestore.traceql.stages.filter import Filter
from obs.tracestore.traceql.stages.stage import Stage


@dataclass(frozen=True, slots=True)
class Pair:
    """`op` is a key of `OPERATORS`."""

    left: Stage
    op: str
    right: Stage

    def __str__(self) -> str:
        return f"{_inner(self.left)} {self.op} {_inner(self.right)}"

    def apply(self, sets: Spansets) -> Spansets:
        """See `Stage`."""
        operator = OPERATORS[self.op]
        mask = np.zeros(len(sets.mask), bool)
        left = self.left.apply(sets).hits
        if not len(left) and operator.needs_left:
            return sets.narrowed(mask)
        right = self.right.apply(sets).hits
        if len(right) or not operator.needs_right:
            mask[operator.rows(Sides(sets.rows, left, right, sets.owner, sets.count))] = True
        return sets.narrowed(mask)

    def fields(self) -> Iterator[Field]:
        """See `Stage`."""
        yield from self.left.fields()
        yield from self.right.fields()

    def bound(self, traces: TraceRows) -> Bound:
        """See `Stage`."""
        operator = OPERATORS[self.op]
        left, right = self.left.bound(traces), self.right.bound(traces)
        if not operator.needs_right:
            return Bound(left.may | right.may, left.exact and right.exact)
        if not operator.needs_left:
            return Bound(right.may, False)
        return Bound(left.may & right.may, left.exact and right.exact and self.op == "&&")

    def explain(self, indent: str) -> Iterator[str]:
        """See `Stage`."""
        yield f"{indent}join spansets by {self.op}"
        yield from self.left.explain(indent + "  ")
        yield from self.right.explain(indent + "  ")


def _inner(side: Stage) -> str:
    """A side as it is written there: what is more than a filter has parentheses."""
    return str(side) if isinstance(side, Filter) else f"({side})"
