"""Spans that were sent again and stand in several places until these are merged: of each the last written counts.

In: places in the order they were written. Out: rows of each that a later place supersedes. What blocks supersede of
each other is kept while they stand, what a run of the head does as long as the run: a question works out new runs.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from obs.columnar.head import concatenate
from obs.tracestore.ids import Words, mixed
from obs.tracestore.sources import MemorySource, Source
from obs.tracestore.spancolumns import SpanColumns, span_columns
from obs.tracestore.splitrows import rows_of
from obs.tracestore.splits import SplitTraces, among, common

Rows = npt.NDArray[np.int64]

NO_ROWS: Rows = np.zeros(0, np.int64)
_KEY = ("trace_id", "span_id", "kind", "start_ns", "end_ns")


class Repeats:
    """What is known of repeats between questions; shared by all threads."""

    def __init__(self, splits: SplitTraces) -> None:
        self._splits = splits
        self._lock = threading.Lock()
        self._names: tuple[str, ...] = ()
        self._of_blocks: list[Rows] = []
        self._of_runs: WeakKeyDictionary[MemorySource, WeakKeyDictionary[Source, Rows]] = WeakKeyDictionary()

    def rows(self, blocks: Sequence[Source], runs: Sequence[MemorySource]) -> list[Rows]:
        """For each block, then for each run, its sorted rows whose span stands in a later place too."""
        found = [[rows] for rows in self._between(blocks)] + [[] for _ in runs]
        places = [*blocks, *runs]
        for number, run in enumerate(runs, len(blocks)):
            for earlier in range(number):
                found[earlier].append(self._beside(places[earlier], run))
        return [_union(parts) for parts in found]

    def _between(self, blocks: Sequence[Source]) -> list[Rows]:
        names = tuple(block.name for block in blocks)
        with self._lock:
            if names == self._names:
                return self._of_blocks
        found = _superseded(blocks, self._splits.of_blocks(blocks))
        with self._lock:
            self._names, self._of_blocks = names, found
        return found

    def _beside(self, earlier: Source, run: MemorySource) -> Rows:
        """The rows of a place whose span stands in a later run too."""
        with self._lock:
            known = self._of_runs.setdefault(run, WeakKeyDictionary())
            found = known.get(earlier)
        if found is None:
            found = _superseded([earlier, run], common(earlier.traces, run.traces))[0]
            with self._lock:
                known[earlier] = found
        return found


def _superseded(places: Sequence[Source], keys: Words) -> list[Rows]:
    """For each place its rows, of the traces with these keys, whose span stands in a later one."""
    if not len(keys):
        return [NO_ROWS for _ in places]
    splits = [among(mixed(place.traces.high, place.traces.low), keys) for place in places]
    tables = [rows_of(place, split, _KEY) for place, split in zip(places, splits, strict=True)]
    number = np.repeat(np.arange(len(places)), [table.num_rows for table in tables])
    rows = np.concatenate(
        [np.flatnonzero(np.repeat(split, place.traces.spans)) for place, split in zip(places, splits, strict=True)]
    )
    gone = _but_last(span_columns(concatenate(tables)))
    return [np.sort(rows[gone[number[gone] == i]]) for i in range(len(places))]


def _but_last(c: SpanColumns) -> Rows:
    """Of rows that are of one span all but the last."""
    order = np.lexsort((c.kind, c.span, c.start, c.low, c.high))  # stable: as they were written
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for key in (c.kind, c.span, c.start, c.low, c.high):
        ordered = key[order]
        same &= ordered[1:] == ordered[:-1]
    return order[:-1][same]


def _union(parts: Sequence[Rows]) -> Rows:
    """Rows that stand in one of the parts, ascending."""
    parts = [rows for rows in parts if len(rows)]
    if len(parts) < 2:
        return parts[0] if parts else NO_ROWS
    return np.unique(np.concatenate(parts))
