"""`{ … }`: the spans that satisfy an expression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from obs.tracestore.bounds import Bound, trace_bound
from obs.tracestore.evaluate import evaluate
from obs.tracestore.expressions import Expr, Field, fields_of
from obs.tracestore.summaries import TraceRows
from obs.tracestore.traceql.spansets import Spansets


@dataclass(frozen=True, slots=True)
class Filter:
    """`expr` None: every span."""

    expr: Expr | None

    def __str__(self) -> str:
        return "{ }" if self.expr is None else f"{{ {self.expr} }}"

    def apply(self, sets: Spansets) -> Spansets:
        """See `Stage`."""
        if self.expr is None:
            return sets
        return sets.narrowed(evaluate(self.expr, sets.rows) & sets.mask)

    def fields(self) -> Iterator[Field]:
        """See `Stage`."""
        return fields_of(self.expr)

    def bound(self, traces: TraceRows) -> Bound:
        """See `Stage`."""
        return trace_bound(self.expr, traces)

    def explain(self, indent: str) -> Iterator[str]:
        """See `Stage`."""
        yield f"{indent}filter spans {self}"
