"""Spans that wait for their trace's decision: batches as they came, and at which moment each trace is due.

A trace's home is the batch that brought its first span, and is due when that is; a heap has the homes by the moment
they came. Spans that come later are noted at their trace's home by their row, so nothing is sorted or copied before
it is due.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from obs.collector.processors.derived.columns import Words
from obs.collector.processors.derived.state import Ints
from obs.collector.processors.sampling.due import Due


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch: `keys[row]` names the trace. `generation`: of its segment. `nbytes`: kept, since it costs to ask."""

    spans: pa.RecordBatch
    keys: Words
    came_s: float
    generation: int
    nbytes: int


def entry(spans: pa.RecordBatch, keys: Words, came_s: float, generation: int) -> Entry:
    """An entry with its size."""
    return Entry(spans, keys, came_s, generation, int(spans.nbytes))


@dataclass(frozen=True, slots=True)
class Taken:
    """Due traces, and the generation of each of their batches."""

    due: Due
    generations: Sequence[int]

    def of(self, trace: int) -> Iterator[pa.RecordBatch]:
        """The spans of a trace."""
        at = 0
        for spans in self.due.batches:
            own = self.due.keys[self.due.group[at : at + spans.num_rows]] == np.uint64(trace)
            at += spans.num_rows
            if own.any():
                yield spans.filter(pa.array(own))


@dataclass(slots=True)
class _Batch:
    """An entry, and how many of its rows still wait."""

    entry: Entry
    left: int


_Part = tuple[int, Ints]
"""(number of a batch, rows of it)"""


@dataclass(slots=True)
class _Home:
    """Rows of the traces that a batch was the first to bring."""

    came_s: float
    parts: list[_Part] = field(default_factory=list)


class Pending:
    """All that waits. One lock's owner at a time."""

    def __init__(self) -> None:
        self._batches: dict[int, _Batch] = {}  # by number, as they came
        self._homes: dict[int, _Home] = {}  # by the number of the batch
        self._home_of: dict[int, int] = {}  # trace → number of its home
        self._heap: list[tuple[float, int]] = []  # when homes came; of what is gone, some are left
        self._number = 0
        self.rows = 0
        self.nbytes = 0

    @property
    def oldest(self) -> int | None:
        """The least generation that is needed."""
        return min((batch.entry.generation for batch in self._batches.values()), default=None)

    def add(self, one: Entry) -> None:
        """Let a batch wait."""
        if not len(one.keys):
            return
        number = self._number = self._number + 1
        self._batches[number] = _Batch(one, len(one.keys))
        self.rows += len(one.keys)
        self.nbytes += one.nbytes
        traces, trace_of_row = np.unique(one.keys, return_inverse=True)
        settle = self._home_of.setdefault
        homes = np.array([settle(trace, number) for trace in traces.tolist()])[trace_of_row]
        for home, rows in _grouped(homes):
            if home not in self._homes:
                self._homes[home] = _Home(one.came_s)
                heapq.heappush(self._heap, (one.came_s, home))
            elif one.came_s < self._homes[home].came_s:
                self._homes[home].came_s = one.came_s
                heapq.heappush(self._heap, (one.came_s, home))
            self._homes[home].parts.append((number, rows))

    def put_back(self, taken: Taken) -> None:
        """Let what was taken wait again, and be due at once."""
        at = 0
        for spans, generation in zip(taken.due.batches, taken.generations, strict=True):
            group = taken.due.group[at : at + spans.num_rows]
            at += spans.num_rows
            self.add(entry(spans, taken.due.keys[group], -np.inf, generation))

    def find(self, trace: int) -> Iterator[pa.RecordBatch]:
        """The spans of a trace."""
        home = self._homes.get(self._home_of.get(trace, -1))
        for number, rows in home.parts if home is not None else ():
            one = self._batches[number].entry
            own = rows[one.keys[rows] == np.uint64(trace)]
            if len(own):
                yield one.spans.take(pa.array(own))

    def take(self, came_before_s: float, most_bytes: int, decided: Words) -> tuple[Taken | None, int]:
        """Traces that began to come before then, those of `decided` (sorted), and the oldest past `most_bytes`.

        Returns them, and how many of them are taken for the last reason alone.
        """
        parts = self._parts_of(decided)
        while self._heap and self._heap[0][0] <= came_before_s:
            parts += self._parts_at(heapq.heappop(self._heap)[1])
        due = len(parts)
        while self._heap and self.nbytes > most_bytes:
            parts += self._parts_at(heapq.heappop(self._heap)[1])
        if not parts:
            return None, 0
        early = [self._batches[number].entry.keys[rows] for number, rows in parts[due:]]
        count = len(np.unique(np.concatenate(early))) if early else 0
        return self._taken(parts), count

    def _parts_at(self, number: int) -> list[_Part]:
        """The rows of a home, which is no more."""
        home = self._homes.pop(number, None)
        return [] if home is None else [self._counted_out(part) for part in home.parts]

    def _parts_of(self, traces: Words) -> list[_Part]:
        """The rows of some traces, out of their homes; each home is looked through once."""
        by_home: dict[int, list[int]] = {}
        for trace in traces.tolist():
            if (number := self._home_of.get(trace)) is not None:
                by_home.setdefault(number, []).append(trace)
        return [part for number, some in by_home.items() for part in self._out_of(self._homes[number], some)]

    def _out_of(self, home: _Home, traces: list[int]) -> Iterator[_Part]:
        """The rows of some traces of a home, which keeps the others."""
        wanted, parts = np.array(traces, np.uint64), home.parts
        home.parts = []
        for number, rows in parts:
            own = np.isin(self._batches[number].entry.keys[rows], wanted)
            if own.any():
                yield self._counted_out((number, rows[own]))
            if not own.all():
                home.parts.append((number, rows[~own]))

    def _counted_out(self, part: _Part) -> _Part:
        """A batch holds its memory until its last row is taken."""
        batch = self._batches[part[0]]
        batch.left -= len(part[1])
        self.rows -= len(part[1])
        if not batch.left:
            self.nbytes -= batch.entry.nbytes
        return part

    def _taken(self, parts: Sequence[_Part]) -> Taken:
        """The rows, batch by batch."""
        by_batch: dict[int, list[Ints]] = {}
        for number, rows in parts:
            by_batch.setdefault(number, []).append(rows)
        batches, keys, generations = [], [], []
        for number in sorted(by_batch):
            batch, rows = self._batches[number], np.sort(np.concatenate(by_batch[number]))
            whole = len(rows) == len(batch.entry.keys)
            batches.append(batch.entry.spans if whole else batch.entry.spans.take(pa.array(rows)))
            keys.append(batch.entry.keys[rows])
            generations.append(batch.entry.generation)
            if not batch.left:
                del self._batches[number]
        traces, group = np.unique(np.concatenate(keys), return_inverse=True)
        for trace in traces.tolist():
            self._home_of.pop(trace, None)
        return Taken(Due(batches, traces, group), generations)


def _grouped(homes: Ints) -> Iterator[_Part]:
    """Each home with its rows."""
    order = np.argsort(homes, kind="stable")
    edges = np.flatnonzero(np.diff(homes[order])) + 1
    for rows in np.split(order, edges):
        yield int(homes[rows[0]]), rows
