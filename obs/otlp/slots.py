"""Slots: raw identities of data points (128-bit hashes) → the ids of their series, in arrays that kernels read.

Kernels read without a lock: an entry's slot number is written last, and arrays that grow are replaced, never moved.
Whoever adds or commits holds the cache's lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from obs.model.labels import Labels
from obs.model.schema import DAY_MS

Int64s = npt.NDArray[np.int64]
MetadataKey = tuple[str, str, str, str]
FIRST, COUNT, STATE, START, SINCE, UNTIL = range(6)
"""Of a slot: its first id, how many, its state; the start told last of its samples (ns), which times (ms) it is of."""
PENDING, STORED = 0, 1
"""States of a slot; a negative one is a reason to refuse its points."""


class Slots:
    """The table, the slots and the ids; beside them what pending slots have to send along."""

    def __init__(self) -> None:
        self.seed = int.from_bytes(os.urandom(7), "little")
        self.table: Int64s = np.zeros((4096, 3), np.int64)  # both halves of the hash; the slot's number + 1
        self.info: Int64s = np.zeros((1024, 6), np.int64)
        self.ids: Int64s = np.zeros(1024, np.int64)
        self.labels: dict[int, Sequence[Labels]] = {}
        self.families: dict[int, MetadataKey] = {}
        self.count = self._ids_used = 0

    def find(self, h1: int, h2: int) -> int:
        """The slot of an identity, or -1; as the kernel of the same name."""
        table = self.table
        mask = len(table) - 1
        place = (h1 ^ (h1 >> 32)) & mask
        while table[place, 2]:
            if table[place, 0] == h1 and table[place, 1] == h2:
                return int(table[place, 2]) - 1
            place = (place + 1) & mask
        return -1

    def add(self, h1: int, h2: int, ids: Sequence[int], state: int) -> int:
        """A new slot for an identity that has none. Needs the lock."""
        slot, first = self.count, self._ids_used
        self._make_room(len(ids))
        self.ids[first : first + len(ids)] = np.array(ids, np.uint64).view(np.int64)
        self.info[slot] = first, len(ids), state, 0, 0, 0
        self.count, self._ids_used = slot + 1, first + len(ids)
        mask = len(self.table) - 1
        place = (h1 ^ (h1 >> 32)) & mask
        while self.table[place, 2]:
            place = (place + 1) & mask
        self.table[place, 0], self.table[place, 1] = h1, h2
        self.table[place, 2] = slot + 1
        return slot

    def _make_room(self, more_ids: int) -> None:
        if self.count == len(self.info):
            self.info = np.concatenate([self.info, np.zeros_like(self.info)])
        if self._ids_used + more_ids > len(self.ids):
            self.ids = np.concatenate([self.ids, np.zeros(len(self.ids) + more_ids, np.int64)])
        if 2 * self.count >= len(self.table):
            self.table = _rehashed(self.table)

    def ids_of(self, slot: int) -> list[int]:
        """The series ids of a slot."""
        first, count = self.info[slot, :STATE].tolist()
        found: list[int] = self.ids[first : first + count].view(np.uint64).tolist()
        return found

    def commit(self, slots: Sequence[int]) -> None:
        """What these slots had to send along is stored. Needs the lock."""
        for slot in slots:
            self.info[slot, STATE] = STORED
            self.labels.pop(slot, None)
            self.families.pop(slot, None)

    def is_news(self, slot: int, start_ns: int, t_ms: int) -> bool:
        """Whether a slot's start at a time was not told yet, as the kernel of the same name."""
        start, since, until = self.info[slot, START:].tolist()
        return bool(start_ns != start or (start_ns and not since <= t_ms < until))

    def begin(self, begun: Int64s) -> None:
        """Starts are stored: int64[3, points], each a slot, its START and its SINCE. Needs the lock."""
        slots, starts, since = begun
        self.info[slots, START], self.info[slots, SINCE] = starts, since
        self.info[slots, UNTIL] = since // DAY_MS * DAY_MS + DAY_MS


def _rehashed(table: Int64s) -> Int64s:
    from obs.otlp.kernels_points import rehash

    wider = np.zeros((4 * len(table), 3), np.int64)
    enter: Callable[[Int64s, Int64s], None] = rehash
    enter(table, wider)
    return wider
