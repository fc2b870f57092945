"""What is shown of found traces: the spansets that a plan leaves in each, with the fields asked for.

In: the ids of one page. Out: `Spanset`s with as many spans as wanted. Only those few become Python values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from obs.tracestore import limits
from obs.tracestore.evaluate import SpanRows
from obs.tracestore.expressions import Field, Intrinsic
from obs.tracestore.fields import field_columns
from obs.tracestore.ids import id_words, words_id
from obs.tracestore.names import KINDS, STATUSES
from obs.tracestore.query import TraceQuery
from obs.tracestore.sources import Rows, Source
from obs.tracestore.splitrows import put_together
from obs.tracestore.summaries import TraceRows
from obs.tracestore.traceql.plan import Plan

_BASE = (Intrinsic("name"), Intrinsic("start"), Intrinsic("duration"), Intrinsic("span:id"))
_WORDS = {"kind": KINDS, "status": STATUSES}


@dataclass(frozen=True, slots=True)
class ShownSpan:
    """One span of a spanset; `values` of the plan's fields, those that it has."""

    span_id: str
    name: str
    start_ns: int
    duration_ns: int
    values: tuple[tuple[Field, Any], ...]


@dataclass(frozen=True, slots=True)
class Spanset:
    """`matched` spans, of which the first are shown; notes are what was grouped by and aggregated."""

    spans: Sequence[ShownSpan]
    matched: int
    notes: tuple[tuple[str, Any], ...]


def spansets_of(
    sources: Sequence[Source], plan: Plan, trace_ids: Sequence[bytes], query: TraceQuery,
    shown: int,
) -> dict[bytes, list[Spanset]]:  # fmt: skip
    """By trace id."""
    if not trace_ids:
        return {}
    words = np.array([id_words(trace_id) for trace_id in trace_ids], np.uint64).reshape(-1, 2)
    fields = plan.shown
    source = put_together(sources, words[:, 0], words[:, 1], (*plan.pipeline.fields(), *fields))
    rows = SpanRows(source, np.arange(1))
    sets = plan.pipeline.run(rows)
    starts = rows.numbers("start_ns")[sets.hits]
    hits = sets.hits[(starts >= query.start_ns) & (starts <= query.end_ns)]
    hits = hits[np.argsort(sets.owner[hits], kind="stable")]
    owner = sets.owner[hits]
    found: dict[bytes, list[Spanset]] = {}
    reader = _Reader(rows, fields)
    for trace, first, end in _first_sets(hits, owner, source.traces):
        trace_id = words_id(source.traces.high[trace], source.traces.low[trace])
        notes = tuple((name, note(int(owner[first]))) for name, note in sets.notes)
        spans = [reader.span(row) for row in hits[first : min(end, first + shown)].tolist()]
        found.setdefault(trace_id, []).append(Spanset(spans, end - first, notes))
    return found


def _first_sets(hits: Rows, owner: Rows, traces: TraceRows) -> Iterator[tuple[int, int, int]]:
    """(trace, first, end) into `hits`, which come by spanset; of each trace as many as are shown, by first span."""
    edges = (
        np.flatnonzero(np.concatenate([[True], np.diff(owner) != 0, [True]])) if len(hits) else np.zeros(1, np.int64)
    )
    order = np.argsort(hits[edges[:-1]])
    trace = traces.trace_of(hits[edges[:-1]][order])
    kept = np.arange(len(order)) - np.searchsorted(trace, trace) < limits.MAX_SPANSETS_PER_TRACE
    first, end = edges[:-1][order][kept], edges[1:][order][kept]
    return zip(trace[kept].tolist(), first.tolist(), end.tolist(), strict=True)


class _Reader:
    """Single spans of some rows."""

    def __init__(self, rows: SpanRows, fields: Sequence[Field]) -> None:
        self._base = [field_columns(field, rows)[0][0] for field in _BASE]
        self._fields = [(field, field_columns(field, rows)) for field in fields]

    def span(self, row: int) -> ShownSpan:
        """One of them."""
        name, start, duration, span_id = (column[row].as_py() for column in self._base)
        values = ((field, self._value(field, columns, row)) for field, columns in self._fields)
        return ShownSpan(span_id, name or "", start, duration, tuple((f, v) for f, v in values if v is not None))

    def _value(self, field: Field, columns: Any, row: int) -> Any:
        for column, _ in columns:
            value = column[row].as_py()
            if value is not None:
                words = _WORDS.get(field.name, ()) if isinstance(field, Intrinsic) else ()
                return words[value] if words and value < len(words) else value
        return None
