"""What an analysis is made of: the spans that a query selects, place by place, or the traces it finds, put together.

In: the places of one instant and a `TraceQuery`. Split traces are taken out of each place and counted once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.columnar.head import concatenate
from obs.model.schema import parse_attribute_column
from obs.tracestore.evaluate import SpanRows
from obs.tracestore.expressions import Field, fields_of
from obs.tracestore.ids import Words, id_words
from obs.tracestore.matching import Condition, groups_of, matching_rows, pieces
from obs.tracestore.query import TraceQuery
from obs.tracestore.search import search
from obs.tracestore.sources import MemorySource, Source
from obs.tracestore.splitrows import columns_for, put_together, rows_of
from obs.tracestore.splits import shared

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spans:
    """Some rows of one place, and which of them are selected."""

    rows: SpanRows
    hits: Rows


def time_range(sources: Sequence[Source], query: TraceQuery) -> tuple[int, int]:
    """The query's range, as far as there are spans; ends included."""
    held = [s.traces for s in sources if len(s.traces)]
    first = min((int(t.start.min()) for t in held), default=0)
    last = max((int(t.last_start.max()) for t in held), default=0)
    return max(query.start_ns, first), max(min(query.end_ns, last), max(query.start_ns, first))


def spans_of(
    sources: Sequence[Source], split_keys: Words, query: TraceQuery, more: Iterable[Field] = (),
    attributes: bool = False,
) -> Iterator[Spans]:  # fmt: skip
    """The spans that satisfy all conditions of a query; its limit and order do not matter.

    The rows of split traces bring what the query names and the fields of `more`; with `attributes` all attributes too.
    """
    condition = Condition(query.expression(), query.start_ns, query.end_ns)
    fields = [*fields_of(condition.expr), *more]
    tables = []
    for source in sources:
        t = source.traces
        split = shared(t, split_keys)
        if split.any():
            tables.append(rows_of(source, split, _columns(source, fields, attributes)))
        wanted = (t.start <= query.end_ns) & (t.last_start >= query.start_ns) & ~split
        yield from _selected(source, wanted, condition)
    if tables:
        joined = MemorySource("split", concatenate(tables))
        yield from _selected(joined, np.ones(len(joined.traces), bool), condition)


def _columns(source: Source, fields: Sequence[Field], attributes: bool) -> tuple[str, ...]:
    needed = columns_for(fields, source)
    more = (c for c in sorted(source.columns) if attributes and parse_attribute_column(c) is not None)
    return tuple(dict.fromkeys([*needed, *more]))


def _selected(source: Source, wanted: npt.NDArray[np.bool_], condition: Condition) -> Iterator[Spans]:
    for piece in pieces(source, wanted) if wanted.any() else ():
        rows = SpanRows(source, groups_of(source, piece))
        hits = matching_rows(rows, condition)
        hits = hits[piece[rows.trace[hits]]]
        if len(hits):
            yield Spans(rows, hits)


def traces_of(sources: Sequence[Source], split_keys: Words, query: TraceQuery) -> MemorySource | None:
    """The traces that a search finds, whole, as one source; None where it finds none."""
    found = search(sources, split_keys, query).traces
    return whole_traces(sources, [trace.trace_id for trace in found])


def whole_traces(sources: Sequence[Source], trace_ids: Sequence[bytes]) -> MemorySource | None:
    """These traces, whole, as one source; None where there is none of them."""
    if not trace_ids:
        return None
    words = np.array([id_words(trace_id) for trace_id in trace_ids], np.uint64).reshape(-1, 2)
    held = [s for s in sources if (s.traces.find_many(words[:, 0], words[:, 1]) >= 0).any()]
    return put_together(held, words[:, 0], words[:, 1], ()) if held else None
