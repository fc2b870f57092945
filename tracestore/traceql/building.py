"""From the parser's tree to a plan, rule by rule of `grammar.lark`."""

from __future__ import annotations

from typing import Any, cast, get_args

from lark import Token, Transformer, v_args

from obs.tracestore.expressions import NOWHERE, Constant, Field, Term, Value
from obs.tracestore.query import Order
from obs.tracestore.traceql import conditions
from obs.tracestore.traceql.faults import fault
from obs.tracestore.traceql.plan import OrderBy, Plan
from obs.tracestore.traceql.stages.by import By
from obs.tracestore.traceql.stages.coalesce import Coalesce
from obs.tracestore.traceql.stages.filter import Filter
from obs.tracestore.traceql.stages.pair import Pair
from obs.tracestore.traceql.stages.pipeline import Pipeline
from obs.tracestore.traceql.stages.scalar_filter import ScalarFilter
from obs.tracestore.traceql.stages.scalars import Aggregate, Calculation, Number, Scalar
from obs.tracestore.traceql.stages.select import Select
from obs.tracestore.traceql.stages.stage import Stage

_HERE = Token("START", "", line=1, column=1)


@v_args(inline=True)
class Builder(Transformer[Token, Any]):
    """One method a rule."""

    def start(self, *items: Any) -> Plan:
        *stages, hints = items
        order = None
        if isinstance(stages[-1], _Ordered):
            order = stages.pop().order
        return Plan(Pipeline(_stages(stages)), order, hints or {})

    def wrapped(self, *stages: Any) -> Stage:
        found = _stages(stages)
        return found[0] if len(found) == 1 else Pipeline(found)

    def filter(self, brace: Token, item: Any) -> Filter:
        found = True if item is None else conditions.condition(item, brace)
        return Filter(None if found is True else NOWHERE if found is False else found)

    def spanset_pair(self, left: Stage, op: Token, right: Stage) -> Pair:
        return Pair(left, str(op), right)

    def scalar_filter(self, left: Scalar, op: Token, right: Scalar) -> ScalarFilter:
        return ScalarFilter(left, str(op), right)

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

    def order(self, by: Token, way: Token | None) -> _Ordered:
        if by not in get_args(Order):
            raise fault(by, f"there is no order by {str(by)!r}; known are {', '.join(get_args(Order))}")
        if way not in (None, "asc", "desc"):
            raise fault(cast(Token, way), "an order goes asc or desc")
        return _Ordered(by, OrderBy(cast(Order, str(by)), way != "asc"))

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


class _Ordered:
    """`order by` on its way to the plan: it can only come last."""

    def __init__(self, at: Token, order: OrderBy) -> None:
        self.at, self.order = at, order


def _stages(items: Any) -> tuple[Stage, ...]:
    for item in items:
        if isinstance(item, _Ordered):
            raise fault(item.at, "an order comes last, and once")
    return tuple(items)
