"""Stages one after another, and the condition on spans that they amount to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.tracestore.bounds import Bound
from obs.tracestore.evaluate import SpanRows
from obs.tracestore.expressions import Field, Planned
from obs.tracestore.summaries import TraceRows
from obs.tracestore.traceql.spansets import Spansets, everything
from obs.tracestore.traceql.stages.stage import Stage

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pipeline(Planned):
    """A span satisfies it that is in a spanset which the last stage leaves."""

    stages: tuple[Stage, ...]

    def __str__(self) -> str:
        return " | ".join(map(str, self.stages))

    def run(self, rows: SpanRows) -> Spansets:
        """What is left of all traces that stand whole in the rows."""
        return self.apply(everything(rows))

    def apply(self, sets: Spansets) -> Spansets:
        """See `Stage`."""
        for stage in self.stages:
            if not len(sets.hits):
                break
            sets = stage.apply(sets)
        return sets

    def mask(self, rows: SpanRows) -> Mask:
        """See `Planned`."""
        return self.run(rows).mask

    def fields(self) -> Iterator[Field]:
        """See `Stage`."""
        for stage in self.stages:
            yield from stage.fields()

    def bound(self, traces: TraceRows) -> Bound:
        """See `Stage`. Of two span filters in a row each may hold for another span: exact is one at most."""
        bounds = [stage.bound(traces) for stage in self.stages]
        may = np.logical_and.reduce([b.may for b in bounds])
        return Bound(may, bounds[0].exact and all(b.exact and b.may.all() for b in bounds[1:]))

    def explain(self, indent: str) -> Iterator[str]:
        """See `Stage`."""
        if indent:
            yield f"{indent}pipeline"
            indent += "  "
        for stage in self.stages:
            yield from stage.explain(indent)
