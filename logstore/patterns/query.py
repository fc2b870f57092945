"""Patterns over a range of time: of blocks as they were counted, of the head as it is, of filtered lines one by one."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs import warm
from obs.columnar.block import Block
from obs.errors import QueryError, Unavailable
from obs.logstore import limits
from obs.logstore.filenames import PATTERNS, RECORDS
from obs.logstore.logql.parse import parse
from obs.logstore.logql.plan import LogPlan, plan_records, run_stages
from obs.logstore.logql.syntax import LogQuery
from obs.logstore.matching import matches_stream
from obs.logstore.names import STREAM_ID
from obs.logstore.patterns.counts import Counts, count
from obs.logstore.patterns.drain import templates
from obs.logstore.patterns.shapes import pieces
from obs.logstore.scan import Deadline, map_units, unless_damaged
from obs.logstore.selection import Selection, Stats, Unit
from obs.logstore.store import LogStore
from obs.model.labels import Labels, Matcher

KERNELS = "obs.logstore.kernels"
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A template, and its lines in each interval that has any: from times_ns[i] on, rising."""

    text: str
    times_ns: I64
    lines: I64

    @property
    def total(self) -> int:
        """All its lines."""
        return int(self.lines.sum())


class Patterns:
    """Mines a store's patterns. What is counted of full pieces of the head is kept as long as they are."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[weakref.ref[pa.Table], _Piece]] = {}

    def find(self, query: str, start_ns: int, end_ns: int, step_ns: int) -> list[Pattern]:
        """Patterns of a log query in start_ns <= time < end_ns, those of the most lines first.

        Raises: QueryError, QueryLimit, Unavailable while the kernels are being compiled.
        """
        syntax = parse(query)
        if not isinstance(syntax, LogQuery):
            raise QueryError(f"cannot find patterns of {query!r}: it computes numbers; give a selector")
        if not warm.ready(KERNELS):
            raise Unavailable("cannot find patterns yet: their kernels are being compiled; ask again", 5.0)
        plan = plan_records(syntax, self._store.streams.label_names, needed=frozenset())
        parts = self._filtered(plan, start_ns, end_ns) if plan.stages else self._counted(plan, start_ns, end_ns)
        return _merged(list(parts), start_ns, end_ns, step_ns)

    def _filtered(self, plan: LogPlan, start_ns: int, end_ns: int) -> Iterator[Counts]:
        """Counts of lines that pass a query's stages: they are read."""
        with self._store.read(Selection(plan.matchers, start_ns, end_ns, plan.requirements), Stats()) as units:
            yield from map_units(units, lambda unit: _of_unit(plan, unit), Deadline())

    def _counted(self, plan: LogPlan, start_ns: int, end_ns: int) -> Iterator[Counts]:
        with self._store.view() as view:
            for table in view.head_runs(RECORDS):
                piece = self._piece(table)
                yield _chosen(piece.counts, piece.streams, plan.matchers)
            for block in view.blocks:
                if block.meta.max_ns >= start_ns and block.meta.min_ns < end_ns:
                    yield from self._of_block(block, plan)

    def _of_block(self, block: Block, plan: LogPlan) -> Iterator[Counts]:
        index = self._store.index_of(block)
        if index is None:
            return
        if block.path(PATTERNS) is not None:
            streams = [labels for _, labels in index.streams.streams]
            yield _chosen(Counts.of_table(block.read(PATTERNS)), streams, plan.matchers)
        else:  # written while kernels were compiled
            units = self._store.units_of(block, Selection(plan.matchers))
            yield from map_units(units, lambda unit: _of_unit(plan, unit), Deadline())

    def _piece(self, table: pa.Table) -> _Piece:
        if table.num_rows < limits.HEAD_SLICE_ROWS:
            return _mined(table, self._store.streams.labels)
        key = id(table)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and kept[0]() is table:
            return kept[1]
        made = _mined(table, self._store.streams.labels)
        with self._lock:
            self._kept[key] = weakref.ref(table, lambda _: self._let_go(key)), made
        return made

    def _let_go(self, key: int) -> None:
        """Called while a table goes, by any thread, so it takes no lock."""
        self._kept.pop(key, None)


@dataclass(frozen=True, slots=True)
class _Piece:
    counts: Counts
    streams: list[Labels]


def _mined(table: pa.Table, labels_of: Callable[[int], Labels]) -> _Piece:
    ids, codes = np.unique(table.column(STREAM_ID).to_numpy(), return_inverse=True)
    body = table.column("body").combine_chunks()
    body = pa.concat_arrays(body.chunks) if isinstance(body, pa.ChunkedArray) else body
    counts = count(body, codes.astype(np.int32), table.column("time_ns").to_numpy())
    return _Piece(counts, [labels_of(int(i)) for i in ids])


def _of_unit(plan: LogPlan, unit: Unit) -> Counts:
    def counted() -> Counts:
        rows = run_stages(plan, unit.open())
        found = count(rows.line(), np.zeros(len(rows), np.int32), rows.times()) if len(rows) else _NOTHING
        rows.chunk.release()
        return found

    return unless_damaged(counted, unit.damaged, _NOTHING)


_NOTHING = count(pa.array([], pa.string()), np.empty(0, np.int32), np.empty(0, np.int64))


def _chosen(counts: Counts, streams: Sequence[Labels], matchers: Sequence[Matcher]) -> Counts:
    """Those of the streams that satisfy every matcher."""
    wanted = np.array([matches_stream(labels, matchers) for labels in streams], np.bool_)
    if not len(counts.lines) or wanted.all():
        return counts
    kept = wanted[counts.streams]
    return Counts(counts.patterns, counts.of[kept], counts.streams[kept], counts.times_ns[kept], counts.lines[kept])


def _merged(parts: list[Counts], start_ns: int, end_ns: int, step_ns: int) -> list[Pattern]:
    """One list out of the templates of many places: alike ones are one."""
    weights: dict[str, int] = {}
    for part in parts:
        sums = np.bincount(part.of, part.lines, minlength=len(part.patterns))
        for text, lines in zip(part.patterns, sums.tolist(), strict=True):
            if lines:
                weights[text] = weights.get(text, 0) + int(lines)
    texts = sorted(weights, key=lambda text: -weights[text])[: limits.PATTERN_SHAPES]
    numbers, patterns = templates(map(pieces, texts))
    number_of = dict(zip(texts, numbers, strict=True))
    times: list[I64] = [np.empty(0, np.int64)]
    owners, lines = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for part in parts:
        numbers_here = np.array([number_of.get(text, -1) for text in part.patterns] or [-1], np.int64)
        owner = numbers_here[part.of] if len(part.of) else np.empty(0, np.int64)
        inside = (part.times_ns >= start_ns - start_ns % step_ns) & (part.times_ns < end_ns) & (owner >= 0)
        times.append(part.times_ns[inside] // step_ns * step_ns)
        owners.append(owner[inside])
        lines.append(part.lines[inside])
    return _by_pattern(patterns, *map(np.concatenate, (owners, times, lines)))


def _by_pattern(patterns: Sequence[str], owners: I64, times: I64, lines: I64) -> list[Pattern]:
    order = np.lexsort((times, owners))
    owners, times, lines = owners[order], times[order], lines[order]
    new = np.ones(len(owners), np.bool_)
    new[1:] = (owners[1:] != owners[:-1]) | (times[1:] != times[:-1])
    starts = np.flatnonzero(new)
    sums = np.add.reduceat(lines, starts) if len(starts) else lines
    owners, times = owners[starts], times[starts]
    edges = np.searchsorted(owners, np.arange(len(patterns) + 1))
    found = [
        Pattern(text, times[low:high], sums[low:high])
        for text, low, high in zip(patterns, edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        if high > low
    ]
    return sorted(found, key=lambda p: -p.total)
