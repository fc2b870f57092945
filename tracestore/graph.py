"""The service graph: who calls whom, how often, with how many errors and how long, over any range and filter.

Blocks that lie whole in the range of a query without a filter answer from their catalog, elsewhere edges come from
parent positions. Split traces are taken out of each place and counted once, put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.columnar.head import concatenate
from obs.tracestore import catalog, limits
from obs.tracestore.catalog import Edges
from obs.tracestore.evaluate import SpanRows
from obs.tracestore.ids import Words
from obs.tracestore.keptedges import KeptEdges
from obs.tracestore.matching import Condition, by_traces, groups_of, matching_rows
from obs.tracestore.names import PARENT_POSITION, SERVICE
from obs.tracestore.query import TraceQuery
from obs.tracestore.sources import MemorySource, Rows, Source
from obs.tracestore.spancolumns import codes_of
from obs.tracestore.splitrows import SplitRows
from obs.tracestore.splits import shared

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """Calls of `child` by `parent`."""

    parent: str
    child: str
    calls: int
    errors: int
    duration_ns: int  # summed over the called spans
    buckets: Mapping[int, int]  # calls by `buckets.bucket_of` their duration


def dependencies(
    sources: Sequence[Source], split_keys: Words, split_rows: SplitRows, kept: KeptEdges, query: TraceQuery
) -> list[GraphEdge]:
    """Edges by the called spans that the query selects, sorted."""
    condition = Condition(query.expression(), query.start_ns, query.end_ns)
    found: list[Edges] = []
    taken: list[Edges] = []
    tables = []
    unread: list[tuple[Source, Mask]] = []
    for source in sources:
        t = source.traces
        split = shared(t, split_keys)
        if split.any():
            tables.append(split_rows.rows(source, split, condition.expr))
        if not len(t) or t.earliest > query.end_ns or t.latest < query.start_ns:
            continue
        counted_anew = isinstance(source, MemorySource) and split.any()  # quicker than to link what is taken out
        known = source.catalog() if _is_whole(source, condition) and not counted_anew else None
        if known is None or not known.bucketed:
            unread.append((source, split))
            continue
        found.append(known.edges)
        if split.any():
            taken.append(MemorySource("part", tables[-1]).catalog().edges)
    if tables:
        joined = MemorySource("split", concatenate(tables))
        unread.append((joined, np.zeros(len(joined.traces), bool)))

    def count(part: tuple[Source, Mask]) -> Edges:
        source, split = part
        return kept.edges(source, condition, split, lambda: _edges(source, condition, split))

    if unread:
        with ThreadPoolExecutor(limits.SCAN_THREADS) as pool:
            found += pool.map(count, unread)
    sums = catalog.join_edges(found, taken)
    return [
        GraphEdge(p, c, s.calls, s.errors, s.duration_ns, s.buckets) for (p, c), s in sorted(sums.items()) if s.calls
    ]


def _is_whole(source: Source, condition: Condition) -> bool:
    """Whether every span of a source satisfies the condition."""
    t = source.traces
    in_range = t.earliest >= condition.start_ns and t.latest <= condition.end_ns
    return condition.expr is None and in_range


def _edges(source: Source, condition: Condition, split: Mask) -> Edges:
    """Edges within the source but for its split traces, counted at the called spans that match."""
    may = by_traces(source, condition)
    wanted = (may.sure | may.unsure) & ~split
    if not wanted.any():
        return {}
    rows = SpanRows(source, groups_of(source, wanted))
    hits = matching_rows(rows, condition)
    trace = _traces_of(rows, hits)
    hits, trace = hits[wanted[trace]], trace[wanted[trace]]
    if not len(hits):
        return {}
    return _count(rows, hits, trace)


def _traces_of(rows: SpanRows, hits: Rows) -> Rows:
    """The positions of the traces of some rows, whichever way is quicker."""
    if len(hits) > len(rows) // 8:
        return rows.trace[hits]
    return rows.source.traces.trace_of(rows.places(hits))


def _count(rows: SpanRows, hits: Rows, trace: Rows) -> Edges:
    """The edges whose called spans are at `hits`, which lie in these traces; only there are columns looked at."""
    position = rows.numbers(PARENT_POSITION)[hits]
    called = position >= 0
    hits, parents = hits[called], rows.source.traces.starts[trace[called]] + position[called]
    service, services = codes_of(rows.column(SERVICE), len(rows))
    above, below = service[rows.here(parents)], service[hits]
    crossing = above != below
    hits, above, below = hits[crossing], above[crossing], below[crossing]
    duration = np.maximum(rows.numbers("end_ns")[hits] - rows.numbers("start_ns")[hits], 0)
    return catalog.sum_edges(above, below, services, services, rows.numbers("status_code")[hits], duration)
