"""Running over units: in parallel and in order, within a deadline, memory bounded by a few chunks at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.errors import QueryLimit
from obs.logstore import limits
from obs.logstore.chunks import Rows
from obs.logstore.selection import Unit

S = TypeVar("S")
T = TypeVar("T")
_pool = ThreadPoolExecutor(limits.SCAN_THREADS, thread_name_prefix="log-scan")


class Deadline:
    """When a query must be done. Raises: QueryLimit from `check`."""

    def __init__(self, seconds: float = limits.QUERY_SECONDS) -> None:
        self._seconds = seconds
        self._at = time.monotonic() + seconds

    def check(self) -> None:
        """Whether there is time left."""
        if time.monotonic() > self._at:
            raise QueryLimit(f"cannot finish the query: it took more than {self._seconds:g} s; narrow streams or time")


def map_units(units: Sequence[S], work: Callable[[S], T], deadline: Deadline) -> Iterator[T]:
    """`work` of each unit, in order; at most twice as many as there are threads are under way."""
    if len(units) <= 1:
        yield from map(work, units)
        return
    waiting: list[Future[T]] = []
    ahead = iter(units)
    try:
        for unit in ahead:
            deadline.check()
            waiting.append(_pool.submit(work, unit))
            if len(waiting) >= 2 * limits.SCAN_THREADS:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    finally:
        for future in waiting:
            future.cancel()


def unless_damaged(work: Callable[[], T], damaged: Callable[[], bool], nothing: T) -> T:
    """`work()`, or `nothing` where its block turns out to be damaged: the rest is served."""
    try:
        return work()
    except (OSError, pa.ArrowException):
        if damaged():
            return nothing
        raise


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of one unit that are among the first `limit`, and their times; `age` puts units in the order of writing."""

    rows: Rows
    times: npt.NDArray[np.int64]
    age: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Rows of one unit that are in the answer, their times, and their places in it."""

    rows: Rows
    times: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]


class FirstRows:
    """The first `limit` rows in time order over all units, newest or oldest first; later units need not be read."""

    def __init__(self, limit: int, newest_first: bool) -> None:
        self._limit = limit
        self._newest = newest_first
        self.found: list[Found] = []

    def order(self, units: Sequence[Unit]) -> list[Unit]:
        """Units by when their first row may come."""
        return sorted(units, key=lambda u: -u.max_ns if self._newest else u.min_ns)

    def bound(self) -> int | None:
        """The time of the last row kept: nothing beyond it is wanted. None while there is room."""
        count = sum(len(f.times) for f in self.found)
        if count < self._limit:
            return None
        times = np.concatenate([f.times for f in self.found])
        if self._newest:
            return int(np.partition(times, count - self._limit)[count - self._limit])
        return int(np.partition(times, self._limit - 1)[self._limit - 1])

    def wants(self, unit: Unit, bound: int | None) -> bool:
        """Whether a unit may hold a row before the bound."""
        return bound is None or (unit.max_ns > bound if self._newest else unit.min_ns < bound)

    def inside(self, rows: Rows, bound: int | None) -> Rows:
        """Rows before the bound."""
        if bound is None or not len(rows):
            return rows
        times = rows.times()
        return rows.keep(times > bound if self._newest else times < bound)

    def first(self, rows: Rows) -> Rows:
        """The first `limit` rows of a chunk, in order."""
        times = rows.times()
        order = np.argsort(times, kind="stable")
        return rows.take((order[::-1] if self._newest else order)[: self._limit])

    def add(self, rows: Rows | None, age: int) -> None:
        """Keep what one unit gave."""
        if rows is not None and len(rows):
            self.found.append(Found(rows, rows.times(), age))

    def result(self) -> list[Placed]:
        """Each unit's rows within the limit; of equal times those of units written earlier stand first, or last."""
        if not self.found:
            return []
        self.found.sort(key=lambda found: found.age, reverse=self._newest)
        times = np.concatenate([f.times for f in self.found])
        order = np.argsort(~times if self._newest else times, kind="stable")[: self._limit]  # -times has no -2**63
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
