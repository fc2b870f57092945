"""`compare({ … }, n)`: how often each attribute's values stand in the spans selected and in all others.

Answers the n most frequent values of each attribute and side, beside the totals. A part of the data hands on three
times as many as asked for: of attributes with very many values (ids) the counts are a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from obs.tracestore.evaluate import SpanRows
from obs.tracestore.expressions import SCOPES, Attribute, Field, Intrinsic, Term
from obs.tracestore.sources import Source, attributes_of
from obs.tracestore.terms import Codes, codes_of_term
from obs.tracestore.traceql.metrics.cells import Cells, Key, Rows, Values, check_cells
from obs.tracestore.traceql.metrics.metric import named
from obs.tracestore.traceql.metrics.series import Series
from obs.tracestore.traceql.metrics.window import Window
from obs.tracestore.traceql.spansets import everything
from obs.tracestore.traceql.stages.stage import Stage

META, BASELINE, SELECTION = "__meta_type", "baseline", "selection"
TOO_MANY = ("__meta_error", "__too_many_values__")
_INTRINSICS = ("name", "kind", "status", "statusMessage", "rootName", "rootServiceName", "scopeName")
_KEPT = 3


class _Tally(Cells):
    """Counts of which each part hands on, and all parts keep, so many values of each attribute and side."""

    def __init__(self, kept: int, steps: int) -> None:
        super().__init__(("count",), steps)
        self.kept = kept

    def join(self, key: Key, new: Values) -> None:
        """See `Cells`. Raises: QueryLimit."""
        super().join(key, new)
        check_cells(len(self.sums), self.steps)

    def merge(self, other: Cells) -> None:
        """See `Cells`. Raises: QueryLimit."""
        for key, sums in other.sums.items():
            Cells.join(self, key, sums)
        by_attribute = _by_attribute(self)
        self.sums = {key: sums for found in by_attribute.values() for key, sums in _most(found, self.kept)}
        check_cells(len(self.sums), self.steps)


Counted = list[tuple[Key, Values]]


def _by_attribute(cells: Cells) -> dict[tuple[str, str], Counted]:
    """What was counted of each (attribute, side)."""
    found: dict[tuple[str, str], Counted] = {}
    for key, sums in cells.sums.items():
        ((_, side), (label, _), _), _ = key
        found.setdefault((label, side), []).append((key, sums))
    return found


def _most(counted: Counted, kept: int) -> Counted:
    """The most frequent values, the first by their text where as frequent."""
    return sorted(counted, key=lambda item: (-item[1].sum(), repr(item[0][0][2])))[:kept]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Spans of `selection` that start in start_ns <= t <= end_ns, against the others."""

    selection: Stage
    top: int
    start_ns: int
    end_ns: int
    term: Term | None = None

    def __str__(self) -> str:
        return f"compare({self.selection}, {self.top})"

    def fields(self) -> Iterator[Field]:
        """Those that are known before any data is."""
        yield from self.selection.fields()
        yield from (Intrinsic(name) for name in _INTRINSICS)

    def fields_in(self, sources: Sequence[Source]) -> list[Field]:
        """Every attribute of the sources."""
        found = {
            (scope, key) for s in sources for key, kinds in attributes_of(s.columns).items() for _, scope, _ in kinds
        }
        return [Attribute(scope, key) for scope, key in sorted(found)]

    def cells(self, steps: int) -> Cells:
        """None yet."""
        return _Tally(self.top * _KEPT, steps)

    def count(self, cells: Cells, rows: SpanRows, hits: Rows, step: Rows) -> tuple[Rows, Sequence[Key], Rows, Values]:
        """Add the hits to the cells; none of them is an exemplar."""
        chosen = np.zeros(len(rows), bool)
        chosen[self.selection.apply(everything(rows)).hits] = True
        starts = rows.numbers("start_ns")[hits]
        selected = chosen[hits] & (starts >= self.start_ns) & (starts <= self.end_ns)
        fields: list[Field] = [*(Intrinsic(name) for name in _INTRINSICS), *self.fields_in([rows.source])]
        for side, of_side in ((SELECTION, selected), (BASELINE, ~selected)):
            own, steps = hits[of_side], step[of_side]
            if len(own):
                for field in fields:
                    self._count(cells, side, field, codes_of_term(field, rows), own, steps)
        nothing = hits[:0]
        return nothing, (), nothing, np.zeros(0)

    def _count(self, cells: Cells, side: str, field: Field, codes: Codes, hits: Rows, step: Rows) -> None:
        values, place = np.unique(codes.codes[hits], return_inverse=True)
        if not len(values) or values[-1] < 0:
            return
        total = np.bincount(place)
        kept = np.argsort(-total, kind="stable")[: self.top * _KEPT]
        number = np.full(len(values), -1)
        number[kept] = np.arange(len(kept))
        near = number[place] >= 0
        counted = np.bincount(number[place][near] * cells.steps + step[near], minlength=len(kept) * cells.steps)
        for i, code in enumerate(values[kept].tolist()):
            if code >= 0:
                value, type_ = codes.value(code)
                self._add(cells, side, field, (type_, value), counted.reshape(-1, cells.steps)[i])
        has = values[place] >= 0
        self._add(cells, f"{side}_total", field, ("nil", None), np.bincount(step[has], minlength=cells.steps))

    def _add(self, cells: Cells, side: str, field: Field, value: tuple[str, Any], sums: Any) -> None:
        cells.join((((META, side), (label_of(field), field), value), 0), sums.astype(np.float64)[None, :])

    def series(self, cells: Cells, window: Window) -> list[tuple[Key, Series]]:
        """Of each attribute and side the most frequent values; attributes with more are named after them."""
        by_attribute = _by_attribute(cells)
        found = []
        cut: dict[str, Key] = {}
        for label, side in sorted(by_attribute, key=lambda pair: (pair[1], pair[0])):
            counted = by_attribute[label, side]
            if len(counted) > self.top:
                cut.setdefault(label, counted[0][0])
            for key, sums in _most(counted, self.top):
                _, (_, field), (_, value) = key[0]
                found.append((key, Series(((META, side), (label, named(field, value))), sums[0])))
        nothing = np.zeros(window.steps)
        return found + [(key, Series((TOO_MANY, (label, None)), nothing)) for label, key in sorted(cut.items())]


def label_of(field: Field) -> str:
    """What an attribute is called in the answer."""
    if isinstance(field, Attribute):
        return f"{next(name for name, scope in SCOPES.items() if scope == field.scope)}.{field.key}"
    return str(field)
