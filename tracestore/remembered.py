"""Which traces of a block a condition holds for, remembered: a block never changes, and the next page asks the same.

What the traces table tells is not remembered, nor is a TraceQL pipeline, nor the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from obs.columnar.foundrows import FoundRows
from obs.tracestore import limits
from obs.tracestore.expressions import And, Expr, Not, Or, Planned
from obs.tracestore.matching import Condition
from obs.tracestore.sources import BlockSource, Source

Rows = npt.NDArray[np.int64]
_WHOLE = -1
"""In place of a row group: the rows are those of the traces table."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one block and one condition."""

    found: FoundRows
    path: Path
    asked: tuple[str, int | None, int | None]

    @classmethod
    def of(cls, source: Source, condition: Condition) -> Memory | None:
        """None where nothing is remembered. A bound in time counts only where it leaves spans of the block out."""
        if not isinstance(source, BlockSource) or condition.expr is None or _is_planned(condition.expr):
            return None
        text = repr(condition.expr)  # tells 1 from true and from 1.0, which are equal
        start = condition.start_ns if condition.start_ns > source.traces.earliest else None
        end = condition.end_ns if condition.end_ns < source.traces.latest else None
        if len(text) > limits.REMEMBERED_CHARS:
            return None
        return cls(source.found, source.path, (text, start, end))

    def get(self) -> Rows | None:
        """Positions of the traces, rising."""
        return self.found.get(self.path, _WHOLE, self.asked)

    def put(self, traces: Rows) -> None:
        """Remember them, given rising."""
        self.found.put(self.path, _WHOLE, self.asked, traces)


def _is_planned(expr: Expr) -> bool:
    if isinstance(expr, And | Or):
        return any(map(_is_planned, expr.items))
    return _is_planned(expr.item) if isinstance(expr, Not) else isinstance(expr, Planned)
