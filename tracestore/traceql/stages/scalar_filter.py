"""`| count() > 2`: the spansets whose numbers compare so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from obs.tracestore.bounds import Bound
from obs.tracestore.expressions import Field
from obs.tracestore.summaries import TraceRows
from obs.tracestore.terms import holds
from obs.tracestore.traceql.spansets import Spansets
from obs.tracestore.traceql.stages.scalars import Aggregate, Calculation, PerSet, Scalar


@dataclass(frozen=True, slots=True)
class ScalarFilter:
    """A spanset where a side has no number is not left."""

    left: Scalar
    op: str
    right: Scalar

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"

    def apply(self, sets: Spansets) -> Spansets:
        """See `Stage`; what was aggregated is noted."""
        left, right = self.left.of(sets), self.right.of(sets)
        with np.errstate(invalid="ignore"):
            kept = holds(self.op, left.values, right.values) & left.valid & right.valid
        notes = tuple(_note(side, found) for side, found in ((self.left, left), (self.right, right)) if _measures(side))
        return replace(sets.kept(kept), notes=sets.notes + notes)

    def fields(self) -> Iterator[Field]:
        """See `Stage`."""
        yield from self.left.fields()
        yield from self.right.fields()

    def bound(self, traces: TraceRows) -> Bound:
        """See `Stage`."""
        return Bound(np.ones(len(traces), bool), False)

    def explain(self, indent: str) -> Iterator[str]:
        """See `Stage`."""
        yield f"{indent}keep spansets where {self}"


def _measures(side: Scalar) -> bool:
    return isinstance(side, Aggregate | Calculation)


def _note(side: Scalar, found: PerSet) -> tuple[str, Callable[[int], Any]]:
    whole = isinstance(side, Aggregate) and side.name == "count"
    return str(side), lambda group: int(found.values[group]) if whole else float(found.values[group])
