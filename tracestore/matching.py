"""Which traces of one source match a query: first by the traces table, then by spans where that does not tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.tracestore import limits
from obs.tracestore.bounds import trace_bound
from obs.tracestore.evaluate import SpanRows, evaluate
from obs.tracestore.expressions import Expr
from obs.tracestore.query import ReadStats
from obs.tracestore.sources import Rows, Source

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression on a span that starts in start_ns <= t <= end_ns."""

    expr: Expr | None
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class ByTraces:
    """What the traces table says: traces that surely match, and those of which only the spans tell."""

    sure: Mask
    unsure: Mask


def matching(source: Source, condition: Condition, stats: ReadStats) -> Rows:
    """Positions of the traces that have a matching span, ascending."""
    found = by_traces(source, condition)
    if found.unsure.any():
        found.sure[by_spans(source, condition, found.unsure, stats)] = True
    return np.flatnonzero(found.sure)


def by_traces(source: Source, condition: Condition) -> ByTraces:
    """Without a look at the spans."""
    t, expr = source.traces, condition.expr
    start, end = condition.start_ns, condition.end_ns
    bound = trace_bound(expr, t)
    may = bound.may & (t.start <= end) & (t.last_start >= start)
    if expr is None:
        sure = may & ((t.start >= start) | (t.last_start <= end))
    elif bound.exact:
        sure = may & (t.start >= start) & (t.last_start <= end)
    else:
        sure = np.zeros(len(t), bool)
    return ByTraces(sure, may & ~sure)


def by_spans(source: Source, condition: Condition, wanted: Mask, stats: ReadStats) -> Rows:
    """Of the wanted traces those with a matching span."""
    found = [of_piece(source, condition, piece, stats) for piece in pieces(source, wanted)]
    return np.concatenate([np.zeros(0, np.int64), *found])


def of_piece(source: Source, condition: Condition, piece: Mask, stats: ReadStats) -> Rows:
    """Of the traces of one piece those with a matching span."""
    rows = SpanRows(source, groups_of(source, piece))
    stats.row_groups_read += len(rows.groups)
    stats.rows_read += len(rows)
    hits = matching_rows(rows, condition)
    traces = np.unique(source.traces.trace_of(rows.places(hits)))
    return traces[piece[traces]]


def pieces(source: Source, wanted: Mask, most_rows: int = limits.ROWS_AT_ONE_TIME) -> Iterator[Mask]:
    """The wanted traces, in pieces of about so many rows, which may be decoded at one time; a trace is never cut."""
    starts = source.traces.starts
    if starts[-1] <= most_rows:
        yield wanted
        return
    first = 0
    while first < len(wanted):
        reach = int(np.searchsorted(starts, starts[first] + most_rows, side="right")) - 1
        end = max(reach, first + 1)
        piece = np.zeros(len(wanted), bool)
        piece[first:end] = wanted[first:end]
        if piece.any():
            yield piece
        first = end


def matching_rows(rows: SpanRows, condition: Condition) -> Rows:
    """Positions in `rows` of the spans that match."""
    t = rows.source.traces
    mask = np.ones(len(rows), bool) if condition.expr is None else evaluate(condition.expr, rows)
    if mask.any() and (t.earliest < condition.start_ns or t.latest > condition.end_ns):
        starts = rows.numbers("start_ns")
        mask &= (starts >= condition.start_ns) & (starts <= condition.end_ns)
    return np.flatnonzero(mask)


def groups_of(source: Source, wanted: Mask) -> Rows:
    """The groups of rows that hold spans of the wanted traces."""
    if wanted.all():
        return np.arange(len(source.group_starts) - 1)
    traces = np.flatnonzero(wanted)
    first = np.searchsorted(source.group_starts, source.traces.starts[traces], side="right") - 1
    last = np.searchsorted(source.group_starts, source.traces.starts[traces + 1], side="left")
    edges = np.zeros(len(source.group_starts) + 1, np.int64)
    np.add.at(edges, first, 1)
    np.add.at(edges, last, -1)
    return np.flatnonzero(np.cumsum(edges) > 0)
