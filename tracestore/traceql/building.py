"""From the parser's tree to a plan, rule by rule of `grammar.lark`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast, get_args

from lark import Token, Transformer, v_args

from obs.tracestore import limits
from obs.tracestore.expressions import NOWHERE, Constant, Field, Term, Value
from obs.tracestore.query import Order
from obs.tracestore.traceql import conditions
from obs.tracestore.traceql.endings import Ending, between, planned, stage_of, stages_of, wrapped_metric
from obs.tracestore.traceql.faults import fault
from obs.tracestore.traceql.measuring import comparison, metric
from obs.tracestore.traceql.metrics.later import KeptPoints, Ranked
from obs.tracestore.traceql.plan import OrderBy, Plan
from obs.tracestore.traceql.stages.by import By
from obs.tracestore.traceql.stages.coalesce import Coalesce
from obs.tracestore.traceql.stages.filter import Filter
from obs.tracestore.traceql.stages.pair import Pair
from obs.tracestore.traceql.stages.pipeline import Pipeline
from obs.tracestore.traceql.stages.scalar_filter import ScalarFilter
from obs.tracestore.traceql.stages.scalars import Aggregate, Calculation, Number, Scalar
from obs.tracestore.traceql.stages.select import Select

_HERE = Token("START", "", line=1, column=1)


@v_args(inline=True)
class Builder(Transformer[Token, Any]):
    """One method a rule."""

    def start(self, query: Plan, hints: dict[str, Value] | None) -> Plan:
        return replace(query, hints=hints or {})

    def staged(self, *items: Any) -> Plan:
        return planned(items)

    def calculated_metric(self, metric: Ending, *later: Ending) -> Plan:
        return planned((metric, *later))

    def between_metrics(self, left: Any, op: Token, right: Any) -> Ending:
        return between(left, op, right)

    def wrapped(self, *items: Any) -> Any:
        if any(isinstance(item, Ending) for item in items):
            return wrapped_metric(items)
        found = stages_of(items)
        return found[0] if len(found) == 1 else Pipeline(found)

    def filter(self, brace: Token, item: Any) -> Filter:
        found = True if item is None else conditions.condition(item, brace)
        return Filter(None if found is True else NOWHERE if found is False else found)

    def spanset_pair(self, left: Any, op: Token, right: Any) -> Pair:
        return Pair(stage_of(left), str(op), stage_of(right))

    def scalar_filter(self, left: Scalar, op: Token, right: Scalar) -> ScalarFilter:
        return ScalarFilter(left, str(op), right)

    def powered(self, name: Token, item: Any, op: Token, right: Scalar) -> Calculation:
        return Calculation(str(op), self.aggregate(name, item), right)

    def aggregate(self, name: Token, item: Any) -> Aggregate:
        if (name == "count") != (item is None):
            raise fault(name, "count() takes no field" if name == "count" else f"{name}() takes a field")
        return Aggregate(str(name), None if item is None else conditions.term(item, name))

    def by(self, terms: list[Term]) -> Any:
        found = tuple(map(By, terms))
        return found[0] if len(found) == 1 else Pipeline(found)

    def coalesce(self) -> Coalesce:
        return Coalesce()

    def select(self, terms: list[Term]) -> Select:
        for item in terms:
            if not isinstance(item, conditions.FIELDS):
                raise fault(_HERE, f"select() shows fields, and {item} is none")
        return Select(cast(tuple[Field, ...], tuple(terms)))

    def order(self, by: Token, way: Token | None) -> Ending:
        if by not in get_args(Order):
            raise fault(by, f"there is no order by {str(by)!r}; known are {', '.join(get_args(Order))}")
        if way not in (None, "asc", "desc"):
            raise fault(cast(Token, way), "an order goes asc or desc")
        return Ending(by, OrderBy(cast(Order, str(by)), way != "asc"))

    def measured(self, name: Token, terms: list[Term] | None, by: list[Term] | None) -> Ending:
        return Ending(name, metric(name, terms or [], by or []))

    def contrasted(self, name: Token, selection: Any, *numbers: Number) -> Ending:
        return Ending(name, comparison(name, stage_of(selection), [n.value for n in numbers]))

    def ranked(self, name: Token, count: Token) -> Ending:
        if not count.isdigit() or not 0 < conditions.number(count) <= limits.MAX_METRIC_SERIES:
            raise fault(count, f"{name} takes a whole number from 1 to {limits.MAX_METRIC_SERIES}")
        return Ending(name, Ranked(int(count), name == "topk"))

    def kept_points(self, metric: Any, op: Token, number: Number) -> Ending:
        if not isinstance(metric, Ending):
            raise fault(op, "spansets cannot be compared with a number; count() gives one")
        return replace(metric, points=(*metric.points, KeptPoints(str(op), number.value)))

    def arithmetic(self, left: Any, op: Token, right: Any) -> Any:
        if isinstance(left, Number | Aggregate | Calculation):
            return Calculation(str(op), left, right)
        return conditions.arithmetic(left, op, right)

    def boolean(self, found: Any, *more: Any) -> Any:
        for op, right in zip(more[::2], more[1::2], strict=True):
            found = conditions.boolean(found, op, right)
        return found

    def compared(self, left: Any, op: Token, right: Any) -> Any:
        return conditions.compared(left, op, right)

    def signed(self, sign: Token, item: Any) -> Term:
        return conditions.signed(sign, item)

    def negated(self, sign: Token, item: Any) -> Any:
        return conditions.negated(item, sign)

    def attribute(self, token: Token) -> Field:
        return conditions.attribute(token)

    def intrinsic(self, token: Token) -> Field:
        return conditions.intrinsic(token)

    def array(self, *items: Any) -> tuple[Constant, ...]:
        for item in items:
            conditions.term(item, _HERE)
        return tuple(items)

    def string(self, token: Token) -> Constant:
        return Constant(conditions.string(token))

    def literal_duration(self, token: Token) -> Constant:
        return Constant(conditions.duration(token))

    def literal_number(self, token: Token) -> Constant:
        return Constant(conditions.number(token))

    def duration(self, sign: Token | None, token: Token) -> Number:
        return Number(conditions.duration(token) * (-1 if sign == "-" else 1))

    def number(self, sign: Token | None, token: Token) -> Number:
        return Number(conditions.number(token) * (-1 if sign == "-" else 1))

    def constant(self, token: Token) -> Constant:
        return Constant(token == "true")

    def nil(self) -> Constant:
        return Constant(None)

    def word(self, token: Token) -> Token:
        return token

    def terms(self, *items: Any) -> list[Term]:
        return [conditions.term(item, _HERE) for item in items]

    def hint(self, name: Token, value: Any) -> tuple[str, Value]:
        return str(name), value.value if isinstance(value, Constant) else str(value)

    def hints(self, *pairs: tuple[str, Value]) -> dict[str, Value]:
        return dict(pairs)
