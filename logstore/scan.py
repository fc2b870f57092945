"""Running over units: in parallel and in order, within a deadline, memory bounded by a few chunks at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa

from obs.errors import QueryLimit
from obs.logstore import limits

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
