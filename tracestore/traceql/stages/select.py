"""`| select(field, …)`: fields to show with each span; it leaves every span."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from obs.tracestore.bounds import Bound
from obs.tracestore.expressions import Field
from obs.tracestore.summaries import TraceRows
from obs.tracestore.traceql.spansets import Spansets


@dataclass(frozen=True, slots=True)
class Select:
    """In the order asked for."""

    shown: tuple[Field, ...]

    def __str__(self) -> str:
        return f"select({', '.join(map(str, self.shown))})"

    def apply(self, sets: Spansets) -> Spansets:
        """See `Stage`."""
        return sets

    def fields(self) -> Iterator[Field]:
        """None: what is shown is read from the traces of the answer alone."""
        return iter(())

    def bound(self, traces: TraceRows) -> Bound:
        """See `Stage`."""
        return Bound(np.ones(len(traces), bool), True)

    def explain(self, indent: str) -> Iterator[str]:
        """See `Stage`."""
        yield f"{indent}show {', '.join(map(str, self.shown))}"
