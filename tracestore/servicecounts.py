"""Spans and errors of traces by service, and their orphans: what lists of traces show beside the totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from obs.tracestore.ids import id_words, words_id
from obs.tracestore.names import ERROR, NO_SERVICE
from obs.tracestore.sources import MemorySource, Source
from obs.tracestore.splitrows import put_together


@dataclass(frozen=True, slots=True)
class ServiceCount:
    """One service of a trace."""

    service: str
    spans: int
    errors: int


@dataclass(frozen=True, slots=True)
class TraceCounts:
    """One trace; `orphans` are spans whose parent is not stored."""

    orphans: int
    services: Sequence[ServiceCount]


def trace_counts(sources: Sequence[Source], trace_ids: Sequence[bytes]) -> dict[bytes, TraceCounts]:
    """By trace id, of traces out of all places; each place is read once."""
    if not trace_ids:
        return {}
    words = [id_words(i) for i in trace_ids]
    high, low = (np.array(part, np.uint64) for part in zip(*words, strict=True))
    if not any((source.traces.find_many(high, low) >= 0).any() for source in sources):
        return {}
    joined = put_together(sources, high, low, ())
    t = joined.traces
    return {words_id(t.high[i], t.low[i]): _counts(joined, i) for i in range(len(t))}


def _counts(joined: MemorySource, trace: int) -> TraceCounts:
    c, t = joined.spans, joined.traces
    rows = slice(int(t.starts[trace]), int(t.starts[trace + 1]))
    width = len(c.services) + 1
    spans = np.bincount(c.service[rows] + 1, minlength=width)
    errors = np.bincount(c.service[rows] + 1, weights=c.status[rows] == ERROR, minlength=width)
    found = [
        ServiceCount(c.services[code - 1] if code else NO_SERVICE, int(spans[code]), int(errors[code]))
        for code in np.flatnonzero(spans).tolist()
    ]
    return TraceCounts(int(t.missing[trace]), sorted(found, key=lambda s: s.service))
