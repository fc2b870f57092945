"""The head as sorted sources: a run of its rows each, sorted once and kept as long as the head has it.

What comes in makes only the last run anew, so a question sorts about as much as arrived since the one before it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from obs.tracestore import limits
from obs.tracestore.sources import MemorySource

HEAD = "head"
Mark = tuple[tuple[int, int, int], ...]


class _Run:
    """One run; sorted when first asked, by one thread."""

    def __init__(self, rows: pa.Table) -> None:
        self._lock = threading.Lock()
        self._rows = rows  # kept alive: its mark is where it stands in memory
        self._source: MemorySource | None = None

    @property
    def sorted(self) -> bool:
        return self._source is not None

    def source(self) -> MemorySource:
        with self._lock:
            if self._source is None:
                self._source = MemorySource(HEAD, self._rows)
            return self._source


class SortedRuns:
    """What stays sorted between questions; shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Mark, _Run] = {}

    def sources(self, tables: Sequence[pa.Table]) -> list[MemorySource]:
        """These runs (see `View.head_runs`) sorted, in their order; all others are forgotten."""
        tables = [table for table in tables if table.num_rows]
        with self._lock:
            runs = {mark: self._kept.get(mark) or _Run(rows) for rows in tables if (mark := _mark(rows))}
            self._kept = runs
        if sum(not run.sorted for run in runs.values()) > 1:
            with ThreadPoolExecutor(limits.SCAN_THREADS) as pool:
                list(pool.map(_Run.source, runs.values()))
        return [run.source() for run in runs.values()]


def _mark(rows: pa.Table) -> Mark:
    """Tells one run from another: where its ids stand in memory, which is immutable and kept alive with the mark."""
    chunks = rows.column("trace_id").chunks
    return tuple((chunk.buffers()[1].address, chunk.offset, len(chunk)) for chunk in chunks if len(chunk))
