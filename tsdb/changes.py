"""What writes touch, so that an answer is kept for as long as the samples that it was worked out from stand.

A moment is taken before reading; later it says from which sample time on anything may have changed since.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from obs.tsdb.limits import CHANGE_GRAIN_MS, MOST_CHANGES

EVER, NEVER = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in the order of writes."""

    write: int
    losses: int


class Changes:
    """The earliest sample time written after each write. `losses` counts what took samples away. Any thread."""

    def __init__(self, losses: Callable[[], int]) -> None:
        self._losses = losses
        self._lock = threading.Lock()
        self._writes = 0
        self._last: list[int] = []  # rising numbers of writes
        self._earliest_ms: list[int] = []  # rising: of each, the earliest time that it or any later one wrote

    def note(self, earliest_ms: int) -> None:
        """A write became visible whose earliest sample is at `earliest_ms`."""
        earliest_ms = earliest_ms // CHANGE_GRAIN_MS * CHANGE_GRAIN_MS
        with self._lock:
            self._writes += 1
            while self._earliest_ms and self._earliest_ms[-1] >= earliest_ms:
                self._earliest_ms.pop()
                self._last.pop()
            self._last.append(self._writes)
            self._earliest_ms.append(earliest_ms)
            if len(self._last) > MOST_CHANGES:
                self._halve()

    def _halve(self) -> None:
        """Of two neighbours: the later write, the earlier time."""
        older = len(self._last) // 2 * 2
        self._last = self._last[1:older:2] + self._last[older:]
        self._earliest_ms = self._earliest_ms[0:older:2] + self._earliest_ms[older:]

    def now(self) -> Moment:
        """The moment; what is read after it holds every write before it."""
        losses = self._losses()
        with self._lock:
            return Moment(self._writes, losses)

    def since(self, moment: Moment) -> int:
        """Samples before this time are as they were at `moment`, milliseconds."""
        if self._losses() != moment.losses:
            return EVER
        with self._lock:
            at = bisect_right(self._last, moment.write)
            return self._earliest_ms[at] if at < len(self._last) else NEVER
