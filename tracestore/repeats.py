"""Spans that were sent again and stand in several places until these are merged: of each the last written counts.

In: blocks as they were written, and the head as it came; neither is sorted for it. Out: which rows of blocks another
place supersedes, and the rows of the head that count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.head import concatenate
from obs.tracestore.ids import Words, mixed, span_words, trace_words
from obs.tracestore.sources import BlockSource
from obs.tracestore.spancolumns import SpanColumns, span_columns
from obs.tracestore.splitrows import SplitRows
from obs.tracestore.splits import NONE, SplitTraces, among, shared

Rows = npt.NDArray[np.int64]
Place = tuple[str, Rows, pa.Table]
"""A name, which rows are of traces that stand elsewhere too, and these."""

HEAD = ""
_KEY = ("trace_id", "span_id", "kind", "start_ns", "end_ns")


@dataclass(frozen=True, slots=True)
class Repeats:
    """`rows` of blocks by their name; `head` None: all of it counts."""

    rows: dict[str, Rows] = field(default_factory=dict)
    head: Rows | None = None


def repeats(blocks: Sequence[BlockSource], head: pa.Table, splits: SplitTraces, split_rows: SplitRows) -> Repeats:
    """Over all places of one instant."""
    traces = mixed(*trace_words(head.column("trace_id"))) if head.num_rows else NONE
    keys = splits.keys_beside(blocks, _distinct(traces))
    places = [place for block in blocks if (place := _of_block(block, keys, split_rows)) is not None]
    at = np.flatnonzero(among(traces, keys))
    if len(at):
        places.append((HEAD, at, head.select(_KEY).take(pa.array(at))))
    return Repeats(dict(_superseded(places)), _kept(head, traces) if head.num_rows else None)


def _distinct(keys: Words) -> Words:
    """Sorted."""
    ordered = np.sort(keys)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def _of_block(block: BlockSource, keys: Words, split_rows: SplitRows) -> Place | None:
    split = shared(block.traces, keys)
    if not split.any():
        return None
    rows = np.flatnonzero(np.repeat(split, block.traces.spans))
    return block.name, rows, split_rows.rows(block, split, None).select(_KEY)


def _superseded(places: Sequence[Place]) -> Iterator[tuple[str, Rows]]:
    """Rows of blocks whose span stands in a later place too."""
    if len(places) < 2:
        return
    place = np.repeat(np.arange(len(places)), [len(rows) for _, rows, _ in places])
    rows = np.concatenate([rows for _, rows, _ in places])
    gone = _but_last(span_columns(concatenate([table for _, _, table in places])))
    for i, (name, _, _) in enumerate(places):
        found = rows[gone[place[gone] == i]]
        if name != HEAD and len(found):
            yield name, np.sort(found)


def _kept(head: pa.Table, traces: Words) -> Rows | None:
    """The rows of the head whose span does not come again in it; None where no span does."""
    start = head.column("start_ns").to_numpy().view(np.uint64)
    spans = mixed(mixed(traces, span_words(head.column("span_id"))), start)
    ordered = np.sort(spans)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return None
    at = np.flatnonzero(among(spans, _distinct(twice)))
    gone = at[_but_last(span_columns(head.select(_KEY).take(pa.array(at))))]
    kept = np.ones(head.num_rows, np.bool_)
    kept[gone] = False
    return np.flatnonzero(kept)


def _but_last(c: SpanColumns) -> Rows:
    """Of rows that are of one span all but the last."""
    order = np.lexsort((c.kind, c.span, c.start, c.low, c.high))  # stable: as they were written
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for key in (c.kind, c.span, c.start, c.low, c.high):
        ordered = key[order]
        same &= ordered[1:] == ordered[:-1]
    return order[:-1][same]
