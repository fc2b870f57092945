"""Spans that were sent again and stand in several places until these are merged: of each the last written counts.

In: the places of one instant. Out: which rows of blocks another place supersedes, and the head without repeats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.head import concatenate
from obs.tracestore.ids import Words
from obs.tracestore.sources import MemorySource, Source
from obs.tracestore.spancolumns import SpanColumns, span_columns
from obs.tracestore.splitrows import SplitRows
from obs.tracestore.splits import shared

Rows = npt.NDArray[np.int64]
_KEY = ("trace_id", "span_id", "kind", "start_ns", "end_ns")


@dataclass(frozen=True, slots=True)
class Repeats:
    """`rows` by the name of their block; `head` None: as it is."""

    rows: dict[str, Rows] = field(default_factory=dict)
    head: Rows | None = None


def repeats(sources: Sequence[Source], split_keys: Words, split_rows: SplitRows) -> Repeats:
    """Sources stand in the order in which they were written."""
    kept = next((s.order for s in sources if isinstance(s, MemorySource) and len(s.order) < s.rows), None)
    parts = [(s, *part) for s in sources if (part := _split(s, split_keys, split_rows)) is not None]
    if len(parts) < 2:
        return Repeats(head=kept)
    place = np.repeat(np.arange(len(parts)), [len(rows) for _, rows, _ in parts])
    whole = np.concatenate([rows for _, rows, _ in parts])
    gone = _superseded(span_columns(concatenate([table.select(_KEY) for _, _, table in parts])), place)
    found = {parts[i][0].name: np.sort(rows) for i, rows in _by_place(place[gone], whole[gone])}
    return Repeats(found, kept)


def _split(source: Source, split_keys: Words, split_rows: SplitRows) -> tuple[Rows, pa.Table] | None:
    """Which rows are of split traces, and these."""
    split = shared(source.traces, split_keys)
    if not split.any():
        return None
    return np.flatnonzero(np.repeat(split, source.traces.spans)), split_rows.rows(source, split, None)


def _superseded(c: SpanColumns, place: Rows) -> Rows:
    """Rows whose span stands in a later place too."""
    order = np.lexsort((place, c.kind, c.span, c.start, c.low, c.high))
    same = np.ones(len(order) - 1, np.bool_)
    for key in (c.kind, c.span, c.start, c.low, c.high):
        ordered = key[order]
        same &= ordered[1:] == ordered[:-1]
    return order[:-1][same]


def _by_place(place: Rows, rows: Rows) -> Iterator[tuple[int, Rows]]:
    for i in np.unique(place).tolist():
        yield i, rows[place == i]
