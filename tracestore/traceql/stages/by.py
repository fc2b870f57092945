"""`| by(term)`: spansets of equal values; spans without one are a spanset too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from obs.tracestore.bounds import Bound
from obs.tracestore.expressions import Field, Term, fields_of
from obs.tracestore.summaries import TraceRows
from obs.tracestore.terms import codes_of_term
from obs.tracestore.traceql.spansets import Spansets


@dataclass(frozen=True, slots=True)
class By:
    """One term."""

    term: Term

    def __str__(self) -> str:
        return f"by({self.term})"

    def apply(self, sets: Spansets) -> Spansets:
        """See `Stage`."""
        found = codes_of_term(self.term, sets.rows)
        width = int(found.codes.max(initial=-1)) + 2
        packed = sets.owner[sets.hits].astype(np.int64) * width + found.codes[sets.hits] + 1
        pairs, numbers = np.unique(packed, return_inverse=True)
        group = np.full(len(sets.mask), -1, np.int64)
        group[sets.hits] = numbers

        def value(number: int) -> Any:
            return found.value(int(pairs[number] % width) - 1)[0]

        before = tuple((name, _of_outer(note, pairs, width)) for name, note in sets.notes)
        return Spansets(sets.rows, sets.mask, group, len(pairs), (*before, (str(self), value)))

    def fields(self) -> Iterator[Field]:
        """See `Stage`."""
        return fields_of(self.term)

    def bound(self, traces: TraceRows) -> Bound:
        """See `Stage`."""
        return Bound(np.ones(len(traces), bool), True)

    def explain(self, indent: str) -> Iterator[str]:
        """See `Stage`."""
        yield f"{indent}part spansets by {self.term}"


def _of_outer(note: Any, pairs: Any, width: int) -> Any:
    return lambda number: note(int(pairs[number] // width))
