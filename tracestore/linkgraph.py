"""The graph of traces that links make, followed from one of them in both directions.

In: a snapshot, a trace, how many hops. Out: the links on the way and what is known of the traces at their ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from obs.tracestore import limits
from obs.tracestore.links import Link, distinct, link_rows, linking_to
from obs.tracestore.query import TraceSummary
from obs.tracestore.reading import read_trace
from obs.tracestore.sources import BlockSource


@dataclass(slots=True)
class LinkGraph:
    """What was found; `truncated` where a limit cut it."""

    links: dict[Link, None] = field(default_factory=dict)
    traces: dict[bytes, TraceSummary | None] = field(default_factory=dict)  # None: not stored
    truncated: bool = False

    def add(self, found: Sequence[Link]) -> None:
        """Keep links, as many as an answer may have."""
        for link in found:
            if len(self.links) >= limits.MAX_LINKS and link not in self.links:
                self.truncated = True
                return
            self.links[link] = None


def incoming(blocks: Sequence[BlockSource], head: pa.Table, trace_ids: Sequence[bytes]) -> list[Link]:
    """The links to any of these traces from all places; see `distinct`."""
    tables = [block.links.to(trace_ids) for block in blocks if block.links is not None]
    if head.num_rows:
        tables.append(linking_to(link_rows(head), trace_ids))
    return distinct(tables)


def follow(blocks: Sequence[BlockSource], head: pa.Table, trace_id: bytes, hops: int) -> LinkGraph:
    """Links from and to a trace, then from and to the traces at their other ends, `hops` times."""
    graph = LinkGraph()
    layer = [trace_id]
    for hop in range(hops + 1):
        stored = _read(graph, blocks, head, layer)
        if hop == hops:
            break
        for rows in stored:
            graph.add(distinct([rows]))
        graph.add(incoming(blocks, head, layer))
        layer = _unseen(graph)
    return graph


def _read(graph: LinkGraph, blocks: Sequence[BlockSource], head: pa.Table, layer: Sequence[bytes]) -> list[pa.Table]:
    """Look up traces; the links of those that are stored."""
    tables = []
    for trace_id in layer:
        trace = read_trace(blocks, head, trace_id)
        graph.traces[trace_id] = None if trace is None else trace.summary
        if trace is not None:
            tables.append(link_rows(trace.table))
    return tables


def _unseen(graph: LinkGraph) -> list[bytes]:
    """Traces at the ends of links that were not looked up yet, as many as an answer may have."""
    ends = dict.fromkeys(t for link in graph.links for t in (link.trace_id, link.linked_trace_id))
    found = [trace for trace in ends if trace not in graph.traces]
    room = limits.MAX_LINKED_TRACES - len(graph.traces)
    graph.truncated |= len(found) > room
    return found[:room]
