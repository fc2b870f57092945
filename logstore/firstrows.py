"""The first rows of a query in a total order: by time, then stream, then when they were taken in.

The order is the same in the head and in blocks, so a place in it (a time, and how many rows of that time lie before)
stays one while records are flushed and merged. Newest first is the same order read from its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from obs.logstore.chunks import Rows
from obs.logstore.scan import unless_damaged
from obs.logstore.selection import Unit

Index = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page goes on: behind `given` rows of the time `time_ns`."""

    time_ns: int
    given: int


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of one unit that are among the first, as they lie there; `age` puts units in the order of writing."""

    rows: Rows
    times: Index
    age: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Rows of one unit that are in the answer, their times, and their places in it."""

    rows: Rows
    times: Index
    places: Index


class FirstRows:
    """The first `limit` rows over all units behind a cursor, newest or oldest first; later units need not be read."""

    def __init__(self, limit: int, newest_first: bool, behind: Cursor | None = None) -> None:
        self._limit = limit
        self._behind = behind
        self._most = limit + (behind.given if behind is not None else 0)
        self._newest = newest_first
        self.found: list[Found] = []

    def order(self, units: Sequence[Unit]) -> list[Unit]:
        """Units by when their first row may come."""
        return sorted(units, key=lambda u: -u.max_ns if self._newest else u.min_ns)

    def bound(self) -> int | None:
        """The time of the last row kept: nothing past it is wanted. None while there is room."""
        if sum(len(f.times) for f in self.found) < self._most:
            return None
        return self._edge(np.concatenate([f.times for f in self.found]))

    def wants(self, unit: Unit, bound: int | None) -> bool:
        """Whether a unit may hold a row up to the bound."""
        return bound is None or (unit.max_ns >= bound if self._newest else unit.min_ns <= bound)

    def inside(self, rows: Rows, bound: int | None) -> Rows:
        """Rows up to the bound."""
        if bound is None or not len(rows):
            return rows
        times = rows.times()
        return rows.keep(times >= bound if self._newest else times <= bound)

    def first(self, rows: Rows, age: int) -> Found | None:
        """The first rows of a unit, as they lie there; None where it has none."""
        if len(rows) > self._most:
            rows = rows.take(self._chosen(rows))
        return Found(rows, rows.times(), age) if len(rows) else None

    def _chosen(self, rows: Rows) -> Index:
        times = rows.times()
        edge = self._edge(times)
        inside = np.flatnonzero(times > edge if self._newest else times < edge)
        tied, room = np.flatnonzero(times == edge), self._most - len(inside)
        if len(tied) > room:
            some = rows.take(tied)
            order = np.lexsort((_observed(some), _ranks([some])))
            tied = tied[order[-room:] if self._newest else order[:room]]
        return np.sort(np.concatenate([inside, tied]))

    def _edge(self, times: Index) -> int:
        """The time of the last row that there is room for, of as many or more."""
        at = len(times) - self._most if self._newest else self._most - 1
        return int(np.partition(times, at)[at])

    def result(self) -> list[Placed]:
        """Each unit's rows in the answer."""
        if not self.found:
            return []
        self.found.sort(key=lambda found: found.age)
        times = np.concatenate([f.times for f in self.found])
        order = self._in_order(times)
        order = (order[::-1] if self._newest else order)[: self._most]
        if self._behind is not None:
            given = int(np.count_nonzero(times[order] == self._behind.time_ns))
            order = order[min(given, self._behind.given) :][: self._limit]
        place = np.full(len(times), -1)
        place[order] = np.arange(len(order))
        parts, at = [], 0
        for found in self.found:
            mine = place[at : at + len(found.times)]
            at += len(found.times)
            kept = np.flatnonzero(mine >= 0)
            if len(kept):
                parts.append(Placed(found.rows.take(kept), found.times[kept], mine[kept]))
        return parts

    def _in_order(self, times: Index) -> Index:
        """The rows found in the total order; what tells apart rows of one time is read where there are such."""
        order = np.argsort(times, kind="stable")
        if not (np.diff(times[order]) == 0).any():
            return order
        rows = [f.rows for f in self.found]
        observed = [unless_damaged(partial(_observed, r), r.chunk.damaged, np.zeros(len(r), np.int64)) for r in rows]
        return np.lexsort((np.concatenate(observed), _ranks(rows), times))


def _observed(rows: Rows) -> Index:
    """When rows were taken in: int64[rows]."""
    column = rows.column("observed_ns")
    return np.zeros(len(rows), np.int64) if column is None else column.fill_null(0).to_numpy(zero_copy_only=False)


def _ranks(parts: Sequence[Rows]) -> Index:
    """Where the stream of each row stands among all, by labels: int64[rows of all parts]."""
    seen = [np.unique(rows.stream_codes(), return_inverse=True) for rows in parts]
    labels = [[rows.chunk.streams.streams[c][1] for c in codes] for rows, (codes, _) in zip(parts, seen, strict=True)]
    rank = {each: i for i, each in enumerate(sorted({each for some in labels for each in some}))}
    places = zip(labels, seen, strict=True)
    return np.concatenate([np.array([rank[each] for each in some], np.int64)[at] for some, (_, at) in places])
