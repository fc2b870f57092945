"""Metrics calculated with each other: `({ status = error } | rate()) / ({ } | rate()) * 100`.

Series are paired by their labels; where one side has a single series without labels, it goes with each of the other's.
Source: Grafana Tempo, pkg/traceql, specification of metrics math: a missing point counts as 0, what is divided by 0 is
no point, a series without a pair is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from obs.tracestore.query import ReadStats
from obs.tracestore.traceql.metrics.series import Exemplar, Measured, Series, Values, thinned
from obs.tracestore.traceql.metrics.window import Window

if TYPE_CHECKING:
    from obs.tracestore.traceql.plan import Plan

NAME = "__name__"
Labels = tuple[tuple[str, Any], ...]
_OPERATORS: Mapping[str, Callable[[Any, Any], Values]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide,
}  # fmt: skip


@dataclass(frozen=True)
class Combined:
    """`left op right`; a side is a query, a number, or calculated itself."""

    op: str
    left: Plan | Combined | float
    right: Plan | Combined | float

    def __str__(self) -> str:
        return f"{_shown(self.left)} {self.op} {_shown(self.right)}"

    def plans(self) -> Iterator[Plan]:
        """The queries in it."""
        for side in (self.left, self.right):
            if isinstance(side, Combined):
                yield from side.plans()
            elif not isinstance(side, float):
                yield side


def _shown(side: Plan | Combined | float) -> str:
    return repr(side) if isinstance(side, float) else f"({side})"


def measured(combined: Combined, ask: Callable[[Plan], Measured], window: Window, exemplars: int) -> Measured:
    """The series; `ask` measures one query, each once."""
    found = {repr(plan): plan for plan in combined.plans()}  # as text two may read alike: quotes in values
    answers = {text: ask(plan) for text, plan in found.items()}
    stats = ReadStats()
    for answer in answers.values():
        stats.rows_read += answer.stats.rows_read
        stats.row_groups_read += answer.stats.row_groups_read
        stats.traces_joined += answer.stats.traces_joined
    series = _of(combined, answers)
    assert not isinstance(series, float)
    shown = [replace(s, exemplars=thinned([*s.exemplars], exemplars)) for s in series]
    return Measured([s for s in shown if not np.isnan(s.values).all()], window, stats)


def _of(side: Plan | Combined | float, answers: Mapping[str, Measured]) -> Sequence[Series] | float:
    if isinstance(side, float):
        return side
    if not isinstance(side, Combined):
        return answers[repr(side)].series
    left, right = _of(side.left, answers), _of(side.right, answers)
    if isinstance(left, float):
        assert not isinstance(right, float)
        return [_with_number(s, side.op, f"({left:g} {side.op} {{}})", left, s.values) for s in right]
    if isinstance(right, float):
        return [_with_number(s, side.op, f"({{}} {side.op} {right:g})", s.values, right) for s in left]
    return list(_paired(left, side.op, right))


def _with_number(series: Series, op: str, name: str, left: Any, right: Any) -> Series:
    """Points where the series has them."""
    own, labels = _name(series), _labels(series)
    named = ((NAME, name.format(own)), *labels) if own else labels
    return Series(named, _calculated(op, left, right), _at_points(series.exemplars))


def _paired(left: Sequence[Series], op: str, right: Sequence[Series]) -> Iterator[Series]:
    lefts, rights = ({_labels(s): s for s in side} for side in (left, right))
    wanted = rights if () in lefts and () not in rights else lefts
    for labels in wanted:
        a, b = lefts.get(labels, lefts.get(())), rights.get(labels, rights.get(()))
        if a is not None and b is not None:
            values = _calculated(op, np.nan_to_num(a.values, nan=0.0), np.nan_to_num(b.values, nan=0.0))
            names = _name(a), _name(b)
            named = ((NAME, f"({names[0]} {op} {names[1]})"), *labels) if all(names) else labels
            yield Series(named, values, _at_points([*a.exemplars, *b.exemplars]))


def _calculated(op: str, left: Any, right: Any) -> Values:
    with np.errstate(all="ignore"):
        values = _OPERATORS[op](left, right)
    if op == "/":
        values = np.where(right == 0, np.nan, values)
    return np.asarray(values, np.float64)


def _labels(series: Series) -> Labels:
    return tuple(sorted((pair for pair in series.labels if pair[0] != NAME), key=lambda pair: pair[0]))


def _name(series: Series) -> str:
    return str(dict(series.labels).get(NAME, ""))


def _at_points(exemplars: Sequence[Exemplar]) -> list[Exemplar]:
    """Exemplars at the height of the calculated point: their own values are of one side alone."""
    return [replace(e, value=None) for e in exemplars]
