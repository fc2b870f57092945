"""The service graph: who calls whom, how often, with how many errors and how long, over any range and filter.

Blocks that lie whole in the range of a query without a filter answer from their catalog. Elsewhere edges come from
parent positions; spans whose parent stands in another place are matched with it across places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.tracestore import catalog
from obs.tracestore.catalog import Edges
from obs.tracestore.evaluate import SpanRows
from obs.tracestore.ids import span_words, words_id
from obs.tracestore.matching import Condition, matching_rows
from obs.tracestore.names import NO_SERVICE, PARENT_POSITION, SERVICE
from obs.tracestore.query import TraceQuery
from obs.tracestore.sources import Source
from obs.tracestore.spancolumns import SpanColumns, codes_of

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """Calls of `child` by `parent`."""

    parent: str
    child: str
    calls: int
    errors: int
    duration_ns: int  # summed over the called spans


def dependencies(sources: Sequence[Source], query: TraceQuery) -> list[GraphEdge]:
    """Edges by the called spans that the query selects, sorted."""
    condition = Condition(query.expression(), query.start_ns, query.end_ns)
    found: list[Edges] = []
    for source in sources:
        t = source.traces
        if not len(t) or t.start.min() > query.end_ns or t.last_start.max() < query.start_ns:
            continue
        whole = condition.expr is None and t.start.min() >= query.start_ns and t.last_start.max() <= query.end_ns
        found.append(source.catalog().edges if whole else _edges(source, condition))
        if len(sources) > 1 and t.missing.any():
            found += _edges_across(source, [s for s in sources if s is not source], condition)
    joined = catalog.join_edges(found)
    return [GraphEdge(p, c, s.calls, s.errors, s.duration_ns) for (p, c), s in sorted(joined.items())]


def _all_rows(source: Source) -> SpanRows:
    return SpanRows(source, np.arange(len(source.group_starts) - 1))


def _edges(source: Source, condition: Condition) -> Edges:
    """Edges within the source, counted at the called spans that match."""
    rows = _all_rows(source)
    chosen = np.zeros(len(rows), bool)
    chosen[matching_rows(rows, condition)] = True
    if not chosen.any():
        return {}
    parent = rows.numbers(PARENT_POSITION)
    return catalog.count_edges(_columns(rows), catalog.parent_rows(source.traces.starts, parent), chosen)


def _columns(rows: SpanRows) -> SpanColumns:
    """Only what counting edges reads; the other arrays are empty."""
    service, services = codes_of(rows.column(SERVICE), len(rows))
    ids, small = np.zeros(0, np.uint64), np.zeros(0, np.uint8)
    return SpanColumns(
        ids, ids, ids, ids, small, rows.numbers("start_ns"), rows.numbers("end_ns"),
        rows.numbers("status_code").astype(np.uint8), service[:0], service, [], services,
    )  # fmt: skip


def _edges_across(source: Source, others: Sequence[Source], condition: Condition) -> list[Edges]:
    """Edges from spans in other places to those here whose parent is not here."""
    rows = _all_rows(source)
    parents = rows.column("parent_span_id")
    if parents is None:
        return []
    orphan = (rows.numbers(PARENT_POSITION) < 0) & np.asarray(parents.is_valid())
    matches = np.zeros(len(rows), bool)
    matches[matching_rows(rows, condition)] = True
    at = np.flatnonzero(orphan & matches)
    if not len(at):
        return []
    callers = _callers(source, rows, at, span_words(parents), others)
    columns = _columns(rows)
    known = np.array([c is not None for c in callers], bool)
    names = sorted({c for c in callers if c is not None})
    above = np.array([names.index(c) for c in callers if c is not None], np.int32)
    at = at[known]
    below = columns.service[at]
    crossing = np.array([names[a] != _name(columns, b) for a, b in zip(above, below, strict=True)], bool)
    at = at[crossing]
    return [
        catalog.sum_edges(
            above[crossing], below[crossing], names, columns.services, columns.status[at], columns.duration[at]
        )
    ]


def _name(columns: SpanColumns, code: int) -> str:
    return columns.services[code] if code >= 0 else NO_SERVICE


def _callers(
    source: Source, rows: SpanRows, at: npt.NDArray[np.int64], parents: npt.NDArray[np.uint64], others: Sequence[Source]
) -> list[str | None]:
    """For each orphan the service of its parent in another place, or None."""
    found: list[str | None] = [None] * len(at)
    t = source.traces
    slices: dict[tuple[int, int], dict[int, str]] = {}
    for i, row in enumerate(at.tolist()):
        trace = int(rows.trace[row])
        trace_id = words_id(t.high[trace], t.low[trace])
        for place, other in enumerate(others):
            position = other.traces.find(trace_id)
            if position < 0:
                continue
            spans = slices.get((place, position))
            if spans is None:
                spans = slices[place, position] = _services_by_span(other, position)
            service = spans.get(int(parents[row]))
            if service is not None:
                found[i] = service
                break
    return found


def _services_by_span(source: Source, trace: int) -> dict[int, str]:
    """Span id → service of one trace."""
    first, end = int(source.traces.starts[trace]), int(source.traces.starts[trace + 1])
    group = int(np.searchsorted(source.group_starts, first, side="right")) - 1
    last = int(np.searchsorted(source.group_starts, end, side="left"))
    rows = SpanRows(source, np.arange(group, last))
    base = int(source.group_starts[group])
    ids = span_words(rows.column("span_id"))[first - base : end - base]
    service, services = codes_of(rows.column(SERVICE), len(rows))
    codes = service[first - base : end - base]
    return {int(i): services[c] if c >= 0 else NO_SERVICE for i, c in zip(ids, codes, strict=True)}
