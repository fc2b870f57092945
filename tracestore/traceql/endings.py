"""What ends a query, on its way to the plan: an order, a metric, metrics calculated with, what follows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lark import Token

from obs.tracestore.traceql.faults import fault
from obs.tracestore.traceql.metrics.combined import Combined
from obs.tracestore.traceql.metrics.compare import Comparison
from obs.tracestore.traceql.metrics.later import KeptPoints, Ranked
from obs.tracestore.traceql.metrics.metric import Metric
from obs.tracestore.traceql.plan import OrderBy, Plan
from obs.tracestore.traceql.stages.pipeline import Pipeline
from obs.tracestore.traceql.stages.scalars import Number
from obs.tracestore.traceql.stages.stage import Stage


@dataclass(frozen=True, slots=True)
class Ending:
    """`made` is a Metric, a Comparison, a Combined, an OrderBy, a Ranked, or the plan of a metric in parentheses."""

    at: Token
    made: Any
    points: tuple[KeptPoints, ...] = ()

    @property
    def later(self) -> bool:
        """Whether it follows a metric."""
        return isinstance(self.made, Ranked)

    @property
    def metric(self) -> bool:
        """Whether it makes points."""
        return isinstance(self.made, Metric | Comparison | Combined | Plan)


def stage_of(item: Any) -> Stage:
    """A stage that makes spansets. Raises: QueryError."""
    if isinstance(item, Ending):
        raise fault(item.at, "an order or a metric stands at the end of the whole query, not in parentheses")
    stage: Stage = item
    return stage


def stages_of(items: Sequence[Any]) -> tuple[Stage, ...]:
    """Several. Raises: QueryError."""
    return tuple(map(stage_of, items))


def planned(items: Sequence[Any]) -> Plan:
    """Stages and what ends them. Raises: QueryError."""
    split = next((i for i, s in enumerate(items) if isinstance(s, Ending)), len(items))
    pipeline = Pipeline(stages_of(items[:split]))
    if split == len(items):
        return Plan(pipeline)
    first, later = items[split], items[split + 1 :]
    if first.later:
        raise fault(first.at, "it follows a metric, such as rate()")
    for item in later:
        if not isinstance(item, Ending) or not item.later or not first.metric:
            at = item.at if isinstance(item, Ending) else first.at
            raise fault(at, "an order or a metric comes last, and once; topk and bottomk may follow a metric")
    if isinstance(first.made, OrderBy):
        return Plan(pipeline, first.made)
    if isinstance(first.made, Comparison) and (first.points or later):
        raise fault(first.at, "nothing follows compare()")
    points = (*first.points, *(p for item in later for p in (item.made, *item.points)))
    if isinstance(first.made, Plan):
        return Plan(first.made.pipeline, None, first.made.metric, (*first.made.later, *points))
    return Plan(pipeline, None, first.made, points)


def wrapped_metric(items: Sequence[Any]) -> Ending:
    """A metric in parentheses. Raises: QueryError."""
    at = next(item.at for item in items if isinstance(item, Ending))
    found = planned(items)
    if found.metric is None:
        raise fault(at, "an order stands at the end of the whole query, not in parentheses")
    return Ending(at, found)


def between(left: Any, op: Token, right: Any) -> Ending:
    """`left op right`, of metrics in parentheses and numbers. Raises: QueryError."""
    sides = _side(left, op), _side(right, op)
    if isinstance(sides[0], float) and isinstance(sides[1], float):
        raise fault(op, "one side of it has to be a metric")
    if op == "%":
        raise fault(op, "metrics are calculated with by + - * /")
    return Ending(op, Combined(str(op), *sides))


def _side(item: Any, op: Token) -> Plan | Combined | float:
    if isinstance(item, Number):
        return float(item.value)
    if not isinstance(item, Ending) or not item.metric:
        raise fault(op, "it takes metrics in parentheses, such as ({ status = error } | rate()) / ({ } | rate())")
    made: Plan | Combined = item.made
    if isinstance(made, Plan) and isinstance(made.metric, Comparison):
        raise fault(item.at, "compare() is not calculated with")
    return made
