"""From the parts of a metric's text to the metric: which function takes what."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from obs.tracestore import limits
from obs.tracestore.expressions import Constant, Term
from obs.tracestore.query import MAX_NS
from obs.tracestore.traceql.faults import fault
from obs.tracestore.traceql.metrics import MEASURES
from obs.tracestore.traceql.metrics.compare import Comparison
from obs.tracestore.traceql.metrics.metric import Metric
from obs.tracestore.traceql.stages.stage import Stage

COMPARED_VALUES = 10
"""Values of each attribute that compare() answers where it is not told; Tempo's number."""


def metric(name: Token, terms: Sequence[Term], by: Sequence[Term]) -> Metric:
    """`name(terms) by(by)`. Raises: QueryError."""
    measure = MEASURES[str(name)]
    if not measure.takes_value and terms:
        raise fault(name, f"{name}() takes nothing")
    if measure.takes_value and (not terms or isinstance(terms[0], Constant)):
        raise fault(name, f"{name}() takes a field first")
    if not measure.takes_parameters and len(terms) > 1:
        raise fault(name, f"{name}() takes one field")
    parameters = tuple(_quantile(name, term) for term in terms[1:])
    if measure.takes_parameters and not parameters:
        raise fault(name, f"{name}() takes quantiles behind the field, such as 0.5, 0.99")
    return Metric(measure, terms[0] if terms else None, parameters, tuple(by))


def _quantile(name: Token, term: Term) -> float:
    value = term.value if isinstance(term, Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise fault(name, f"a quantile is a number from 0 to 1, and {term} is none")
    return float(value)


def comparison(name: Token, selection: Stage, numbers: Sequence[float]) -> Comparison:
    """`compare(selection, top, start, end)`. Raises: QueryError."""
    top, start, end = (*numbers, *(COMPARED_VALUES, -MAX_NS, MAX_NS)[len(numbers) :])[:3]
    if len(numbers) > 3 or not 1 <= top <= limits.MAX_TAG_VALUES:
        raise fault(name, f"compare() takes a spanset, 1 to {limits.MAX_TAG_VALUES} values, a start and an end in ns")
    start, end = (int(max(-MAX_NS, min(moment, MAX_NS))) for moment in (start, end))
    return Comparison(selection, int(top), start, end)
