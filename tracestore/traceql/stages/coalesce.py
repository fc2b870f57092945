"""`| coalesce()`: the spans of a trace as one spanset again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from obs.tracestore.bounds import Bound
from obs.tracestore.expressions import Field
from obs.tracestore.summaries import TraceRows
from obs.tracestore.traceql.spansets import Spansets


@dataclass(frozen=True, slots=True)
class Coalesce:
    """It has no parameters."""

    def __str__(self) -> str:
        return "coalesce()"

    def apply(self, sets: Spansets) -> Spansets:
        """See `Stage`."""
        return Spansets(sets.rows, sets.mask)

    def fields(self) -> Iterator[Field]:
        """See `Stage`."""
        return iter(())

    def bound(self, traces: TraceRows) -> Bound:
        """See `Stage`."""
        return Bound(np.ones(len(traces), bool), True)

    def explain(self, indent: str) -> Iterator[str]:
        """See `Stage`."""
        yield f"{indent}join the spansets of each trace"
