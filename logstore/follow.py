"""Following: batches as they are taken in, for live tails. A follower that is too slow loses the oldest, counted."""

from __future__ import annotations

import threading
from collections import deque

import pyarrow as pa

from obs.logstore import limits


class Follower:
    """Holds what was taken in since it was last asked; the store offers, one tail takes."""

    def __init__(self, batches: int = limits.FOLLOW_BATCHES, nbytes: int = limits.FOLLOW_BYTES) -> None:
        self._waiting: deque[pa.RecordBatch] = deque()
        self._held = 0
        self._room = batches, nbytes
        self._dropped = 0
        self._lock = threading.Lock()

    def offer(self, batch: pa.RecordBatch) -> None:
        """One more batch; never waits."""
        with self._lock:
            self._waiting.append(batch)
            self._held += batch.nbytes
            while len(self._waiting) > 1 and (len(self._waiting) > self._room[0] or self._held > self._room[1]):
                oldest = self._waiting.popleft()
                self._held -= oldest.nbytes
                self._dropped += oldest.num_rows

    def take(self) -> tuple[list[pa.RecordBatch], int]:
        """All batches since last time, and how many records were dropped."""
        with self._lock:
            taken, dropped = list(self._waiting), self._dropped
            self._waiting.clear()
            self._held = 0
            self._dropped = 0
        return taken, dropped
