"""The service graph: who calls whom, how often, with how many errors and how long, over any range and filter.

Blocks that lie whole in the range of a query without a filter answer from their catalog, elsewhere edges come from
parent positions. Split traces are taken out of each place and counted once, put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.columnar.head import concatenate
from obs.tracestore import catalog
from obs.tracestore.catalog import Edges
from obs.tracestore.evaluate import SpanRows
from obs.tracestore.ids import Words
from obs.tracestore.matching import Condition, matching_rows
from obs.tracestore.names import PARENT_POSITION, SERVICE
from obs.tracestore.parent_ids import parent_rows
from obs.tracestore.query import TraceQuery
from obs.tracestore.sources import MemorySource, Source
from obs.tracestore.spancolumns import SpanColumns, codes_of
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
    sources: Sequence[Source], split_keys: Words, split_rows: SplitRows, query: TraceQuery
) -> list[GraphEdge]:
    """Edges by the called spans that the query selects, sorted."""
    condition = Condition(query.expression(), query.start_ns, query.end_ns)
    found: list[Edges] = []
    taken: list[Edges] = []
    tables = []
    for source in sources:
        t = source.traces
        split = shared(t, split_keys)
        if split.any():
            tables.append(split_rows.rows(source, split, condition.expr))
        if not len(t) or t.start.min() > query.end_ns or t.last_start.max() < query.start_ns:
            continue
        known = source.catalog() if _is_whole(source, condition) else None
        if known is None or not known.bucketed:
            found.append(_edges(source, condition, split))
            continue
        found.append(known.edges)
        if split.any():
            taken.append(MemorySource("part", tables[-1]).catalog().edges)
    if tables:
        joined = MemorySource("split", concatenate(tables))
        found.append(_edges(joined, condition, np.zeros(len(joined.traces), bool)))
    sums = catalog.join_edges(found, taken)
    return [
        GraphEdge(p, c, s.calls, s.errors, s.duration_ns, s.buckets) for (p, c), s in sorted(sums.items()) if s.calls
    ]


def _is_whole(source: Source, condition: Condition) -> bool:
    """Whether every span of a source satisfies the condition."""
    t = source.traces
    in_range = t.start.min() >= condition.start_ns and t.last_start.max() <= condition.end_ns
    return condition.expr is None and bool(in_range)


def _edges(source: Source, condition: Condition, split: Mask) -> Edges:
    """Edges within the source but for its split traces, counted at the called spans that match."""
    rows = SpanRows(source, np.arange(len(source.group_starts) - 1))
    chosen = np.zeros(len(rows), bool)
    chosen[matching_rows(rows, condition)] = True
    if split.any():
        chosen &= ~split[rows.trace]
    if not chosen.any():
        return {}
    parents = parent_rows(source.traces.starts, rows.numbers(PARENT_POSITION))
    return catalog.count_edges(_columns(rows), parents, chosen)


def _columns(rows: SpanRows) -> SpanColumns:
    """Only what counting edges reads; the other arrays are empty."""
    service, services = codes_of(rows.column(SERVICE), len(rows))
    ids, small = np.zeros(0, np.uint64), np.zeros(0, np.uint8)
    return SpanColumns(
        ids, ids, ids, ids, small, rows.numbers("start_ns"), rows.numbers("end_ns"),
        rows.numbers("status_code").astype(np.uint8), service[:0], service, service[:0], [], services,
    )  # fmt: skip
