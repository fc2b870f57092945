"""A TraceQL query planned: the pipeline, the order of its answer, or the metric that is made of its spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from obs.errors import QueryError
from obs.tracestore.expressions import Expr, Field, Value
from obs.tracestore.query import Order, TraceQuery
from obs.tracestore.traceql.metrics.combined import Combined
from obs.tracestore.traceql.metrics.compare import Comparison
from obs.tracestore.traceql.metrics.later import KeptPoints, Later
from obs.tracestore.traceql.metrics.metric import Metric
from obs.tracestore.traceql.stages.filter import Filter
from obs.tracestore.traceql.stages.pipeline import Pipeline
from obs.tracestore.traceql.stages.select import Select


@dataclass(frozen=True, slots=True)
class OrderBy:
    """Traces over the whole range, in pages."""

    by: Order
    descending: bool

    def __str__(self) -> str:
        return f"order by {self.by} {'desc' if self.descending else 'asc'}"


@dataclass(frozen=True)
class Plan:
    """What a text asks for; prints itself as TraceQL."""

    pipeline: Pipeline
    order: OrderBy | None = None
    metric: Metric | Comparison | Combined | None = None
    later: tuple[Later, ...] = ()
    hints: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [
            *([self.pipeline] if self.pipeline.stages else []),
            *(p for p in (self.order, self.metric) if p is not None),
        ]
        points = "".join(f" {p}" if isinstance(p, KeptPoints) else f" | {p}" for p in self.later)
        return " | ".join(map(str, parts)) + points

    @property
    def where(self) -> Expr | None:
        """The condition on a span; None: every span, as for metrics calculated with, whose conditions are theirs.

        One filter alone is its expression: it needs no whole trace.
        """
        left = [stage for stage in self.pipeline.stages if not isinstance(stage, Select)]
        if len(left) == 1 and isinstance(left[0], Filter):
            return left[0].expr
        return self.pipeline if self.pipeline.stages else None

    def asked(self, query: TraceQuery) -> TraceQuery:
        """A search by this plan's condition and order, with what `query` says beside it. Raises: QueryError."""
        if self.metric is not None:
            raise QueryError(
                f"cannot search for traces by a metric: {self.metric} makes points, not spansets; ask "
                "/tempo/api/metrics/query_range for it"
            )
        found = replace(query, where=self.where)
        return replace(found, order=self.order.by, descending=self.order.descending) if self.order else found

    @property
    def shown(self) -> tuple[Field, ...]:
        """The fields that are shown with each span: those selected, and those that conditions name."""
        selected = [f for stage in self.pipeline.stages if isinstance(stage, Select) for f in stage.shown]
        return tuple(dict.fromkeys([*selected, *self.pipeline.fields()]))

    def explain(self) -> Iterator[str]:
        """What is done, a line each, in the order of execution."""
        yield from self.pipeline.explain("")
        if isinstance(self.metric, Combined):
            for plan in dict.fromkeys(map(str, plans := list(self.metric.plans()))):
                yield from next(p for p in plans if str(p) == plan).explain()
        if self.order is not None:
            yield f"answer by {self.order.by}, {'greatest' if self.order.descending else 'least'} first, in pages"
        if self.metric is not None:
            yield f"measure {self.metric}"
        yield from (f"keep points {later}" for later in self.later)
