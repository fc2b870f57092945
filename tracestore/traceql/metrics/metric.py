"""A metric of a query: its function over a term, grouped by others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from obs.tracestore.evaluate import SpanRows
from obs.tracestore.expressions import WORDS, Arithmetic, Field, Intrinsic, OfEach, Term, fields_of
from obs.tracestore.terms import codes_of_term, numbers_of
from obs.tracestore.traceql.metrics.buckets import bucket_of
from obs.tracestore.traceql.metrics.cells import Cells, Key, Rows, Values, group
from obs.tracestore.traceql.metrics.measure import Grown, Measure
from obs.tracestore.traceql.metrics.series import Series
from obs.tracestore.traceql.metrics.window import Window

_DURATIONS = (Intrinsic("duration"), Intrinsic("traceDuration"), OfEach("event", ":timeSinceStart"))


@dataclass(frozen=True, slots=True)
class Metric:
    """`term` None: spans are counted."""

    measure: Measure
    term: Term | None
    parameters: tuple[float, ...]
    by: tuple[Term, ...]

    def __str__(self) -> str:
        inner = ", ".join([*([] if self.term is None else [str(self.term)]), *(f"{p:g}" for p in self.parameters)])
        by = f" by({', '.join(map(str, self.by))})" if self.by else ""
        return f"{self.measure.name}({inner}){by}"

    def fields(self) -> Iterator[Field]:
        """Every field that it reads."""
        for term in (*self.by, *([] if self.term is None else [self.term])):
            yield from fields_of(term)

    def cells(self, steps: int) -> Cells:
        """None yet."""
        return Cells(self.measure.states, steps)

    def count(self, cells: Cells, rows: SpanRows, hits: Rows, step: Rows) -> tuple[Rows, Sequence[Key], Rows, Values]:
        """Add the hits to the cells; returns those with a value: their series, its keys, rows, values in seconds."""
        values = np.zeros(len(hits))
        if self.term is not None:
            numbers = numbers_of(self.term, rows)
            valid = numbers.valid[hits]
            hits, step = hits[valid], step[valid]
            values = numbers.values[hits].astype(np.float64) * (1e-9 if is_duration(self.term) else 1.0)
        bucket = bucket_of(values, self.measure.per_octave) if self.measure.per_octave else None
        groups = group([codes_of_term(term, rows) for term in self.by], hits, bucket)
        cells.add(groups, step, values)
        return groups.number, groups.keys, hits, values

    def series(self, cells: Cells, window: Window) -> list[tuple[Key, Series]]:
        """The finished series, each with the key of its group."""
        grown: dict[Any, dict[int, Values]] = {}
        for (values, bucket), sums in cells.sums.items():
            grown.setdefault(values, {})[bucket] = sums
        found = []
        for values, by_bucket in sorted(grown.items(), key=lambda item: _sortable(item[0])):
            for labels, points in self.measure.finish(Grown(by_bucket), window.step_s, self.parameters):
                found.append(((values, 0), Series((*self.labels(values), *labels), points)))
        return found

    def labels(self, values: Sequence[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
        """What a group is called: the function's name, where it is not grouped."""
        if not self.by:
            return () if self.measure.per_octave else (("__name__", self.measure.name),)
        return tuple((str(t), named(t, value)) for t, (_, value) in zip(self.by, values, strict=True))


def is_duration(term: Term) -> bool:
    """Whether a term's numbers are nanoseconds, which metrics show as seconds."""
    if isinstance(term, Arithmetic):
        sides = is_duration(term.left), is_duration(term.right)
        return any(sides) and not (term.op == "/" and all(sides))
    return term in _DURATIONS


def named(term: Term, value: Any) -> Any:
    """A value by the word that TraceQL has for it."""
    words = WORDS.get(term.name, ()) if isinstance(term, Intrinsic) else ()
    return words[value] if words and value is not None and value < len(words) else value


def _sortable(values: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(type_, "" if value is None else value) for type_, value in values]
