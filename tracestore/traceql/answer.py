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
from obs.tracestore.expressions import WORDS, Field, Intrinsic
from obs.tracestore.fields import field_columns
from obs.tracestore.ids import id_words, words_id
from obs.tracestore.matching import Mask, groups_of
from obs.tracestore.query import TraceQuery
from obs.tracestore.sources import Rows, Source
from obs.tracestore.splitrows import put_together
from obs.tracestore.traceql.plan import Plan
from obs.tracestore.traceql.spansets import Spansets

_BASE = (Intrinsic("name"), Intrinsic("start"), Intrinsic("duration"))


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
    sources: Sequence[Source], plan: Plan, trace_ids: Sequence[bytes], query: TraceQuery, shown: int
) -> dict[bytes, list[Spanset]]:
    """By trace id. A trace that stands whole in one place is read there, only others are put together."""
    if not trace_ids:
        return {}
    words = np.array([id_words(trace_id) for trace_id in trace_ids], np.uint64).reshape(-1, 2)
    at = np.stack([source.traces.find_many(words[:, 0], words[:, 1]) for source in sources])
    whole = (at >= 0).sum(axis=0) == 1
    found: dict[bytes, list[Spanset]] = {}
    for source, own in zip(sources, at, strict=True):
        wanted = np.zeros(len(source.traces), bool)
        wanted[own[whole & (own >= 0)]] = True
        if wanted.any():
            found |= _sets_in(source, wanted, plan, query, shown)
    if not whole.all():
        high, low = words[~whole].T
        joined = put_together(sources, high, low, (*plan.pipeline.fields(), *plan.shown))
        found |= _sets_in(joined, np.ones(len(joined.traces), bool), plan, query, shown)
    return found


def _sets_in(source: Source, wanted: Mask, plan: Plan, query: TraceQuery, shown: int) -> dict[bytes, list[Spanset]]:
    """Of the wanted traces of one place."""
    rows = SpanRows(source, groups_of(source, wanted))
    slices = rows.slices
    sets = plan.pipeline.apply(Spansets(rows, np.repeat(wanted[slices.ids] & slices.whole, np.diff(slices.starts))))
    starts = rows.numbers("start_ns")[sets.hits]
    hits = sets.hits[(starts >= query.start_ns) & (starts <= query.end_ns)]
    hits = hits[np.argsort(sets.owner[hits], kind="stable")]
    owner = sets.owner[hits]
    found: dict[bytes, list[Spanset]] = {}
    reader = _Reader(rows, plan.shown)
    for first, end in _first_sets(hits, owner, rows):
        trace = int(slices.ids[slices.owner[hits[first]]])
        trace_id = words_id(source.traces.high[trace], source.traces.low[trace])
        notes = tuple((name, note(int(owner[first]))) for name, note in sets.notes)
        spans = [reader.span(row) for row in hits[first : min(end, first + shown)].tolist()]
        found.setdefault(trace_id, []).append(Spanset(spans, end - first, notes))
    return found


def _first_sets(hits: Rows, owner: Rows, rows: SpanRows) -> Iterator[tuple[int, int]]:
    """(first, end) into `hits`, which come by spanset; of each trace as many as are shown, by first span."""
    edges = (
        np.flatnonzero(np.concatenate([[True], np.diff(owner) != 0, [True]])) if len(hits) else np.zeros(1, np.int64)
    )
    order = np.argsort(hits[edges[:-1]])
    trace = rows.slices.owner[hits[edges[:-1]][order]]
    kept = np.arange(len(order)) - np.searchsorted(trace, trace) < limits.MAX_SPANSETS_PER_TRACE
    return zip(edges[:-1][order][kept].tolist(), edges[1:][order][kept].tolist(), strict=True)


class _Reader:
    """Single spans of some rows."""

    def __init__(self, rows: SpanRows, fields: Sequence[Field]) -> None:
        self._ids = rows.column("span_id")
        self._base = [field_columns(field, rows)[0][0] for field in _BASE]
        self._fields = [(field, field_columns(field, rows)) for field in fields]

    def span(self, row: int) -> ShownSpan:
        """One of them."""
        name, start, duration = (column[row].as_py() for column in self._base)
        span_id = self._ids[row].as_py().hex() if self._ids is not None else ""
        values = ((field, self._value(field, columns, row)) for field, columns in self._fields)
        return ShownSpan(span_id, name or "", start, duration, tuple((f, v) for f, v in values if v is not None))

    def _value(self, field: Field, columns: Any, row: int) -> Any:
        for column, _ in columns:
            value = column[row].as_py()
            if value is not None:
                words = WORDS.get(field.name, ()) if isinstance(field, Intrinsic) else ()
                return words[value] if words and value < len(words) else value
        return None
