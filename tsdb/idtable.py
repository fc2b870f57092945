"""Series id → ordinal: open addressing over two flat arrays, 12 bytes an entry at most half full.

Reads need no lock: an entry's key is written before its ordinal, and growing publishes new arrays at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.tsdb.compiled import kernels, read_only

U64 = npt.NDArray[np.uint64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Slots:
    """The arrays of one size of the table; an ordinal below zero is a free place."""

    keys: U64
    ordinals: I32
    shift: Any  # np.uint64: the upper bits of the hash that are a place

    @classmethod
    def of_size(cls, size: int) -> Slots:
        """An empty table of `size` places, a power of two."""
        return cls(np.zeros(size, np.uint64), np.full(size, -1, np.int32), np.uint64(65 - size.bit_length()))


class IdTable:
    """uint64 → int32 ordinals."""

    def __init__(self, room: int = 1024) -> None:
        self.slots = Slots.of_size(1 << max(1, (2 * room - 1).bit_length()))
        self._used = 0

    @classmethod
    def of(cls, ids: U64) -> IdTable:
        """A table of distinct ids whose ordinals are their positions."""
        table = cls(max(1, len(ids)))
        table.add(ids, np.arange(len(ids), dtype=np.int32))
        return table

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return int(self.slots.keys.nbytes + self.slots.ordinals.nbytes)

    def lookup(self, ids: U64) -> I32:
        """The ordinal of each id, -1 where it is not in the table."""
        slots = self.slots
        out = np.empty(len(ids), np.int32)
        fast = kernels()
        if fast is not None:
            fast.lookup(slots.keys, slots.ordinals, slots.shift, read_only(ids), out)
        else:
            _lookup(slots, ids, out)
        return out

    def pick(self, ids: U64, bits: U8) -> tuple[I64, I32]:
        """The rows whose ids are in the table, and their ordinals; `bits`: of the table's ids, see `bits`."""
        fast = kernels()
        if fast is None or not len(bits):
            found = self.lookup(ids)
            rows = np.flatnonzero(found >= 0)
            return rows, found[rows]
        rows, found = np.empty(len(ids), np.int64), np.empty(len(ids), np.int32)
        slots = self.slots
        count = fast.pick(slots.keys, slots.ordinals, slots.shift, bits, read_only(ids), rows, found)
        return rows[:count], found[:count]

    def add(self, ids: U64, ordinals: I32) -> None:
        """Add ids that are distinct and not in the table. One thread at a time."""
        needed = 2 * (self._used + len(ids))
        if needed > len(self.slots.keys):
            self._grow(1 << needed.bit_length())
        _insert(self.slots, ids, ordinals)
        self._used += len(ids)

    def _grow(self, size: int) -> None:
        old = self.slots
        held = old.ordinals >= 0
        bigger = Slots.of_size(size)
        _insert(bigger, old.keys[held], old.ordinals[held])
        self.slots = bigger


def bits(ids: U64) -> U8:
    """What tells most other ids from these at a glance; nothing while the kernels are not compiled."""
    fast = kernels()
    if fast is None:
        return np.zeros(0, np.uint8)
    found = np.zeros(1 << (fast.FEW_BITS - 3), np.uint8)
    fast.mark(ids, found)
    return found


def _places(slots: Slots, ids: U64) -> npt.NDArray[np.int64]:
    return ((ids * _MULTIPLIER) >> slots.shift).astype(np.int64)


def _lookup(slots: Slots, ids: U64, out: I32) -> None:
    """All ids probe at once; those that met another's place go on to the next."""
    mask = len(slots.keys) - 1
    rows = np.arange(len(ids))
    places = _places(slots, ids)
    while len(rows):
        found = slots.ordinals[places]
        done = (found < 0) | (slots.keys[places] == ids[rows])
        out[rows[done]] = found[done]
        rows, places = rows[~done], (places[~done] + 1) & mask


def _insert(slots: Slots, ids: U64, ordinals: I32) -> None:
    """All ids probe at once; of those that meet at a free place one takes it."""
    mask = len(slots.keys) - 1
    rows = np.arange(len(ids))
    places = _places(slots, ids)
    while len(rows):
        free = np.flatnonzero(slots.ordinals[places] < 0)
        _, first = np.unique(places[free], return_index=True)
        taken = free[first]
        slots.keys[places[taken]] = ids[rows[taken]]
        slots.ordinals[places[taken]] = ordinals[rows[taken]]
        left = np.ones(len(rows), np.bool_)
        left[taken] = False
        rows, places = rows[left], places[left]
        occupied = slots.ordinals[places] >= 0
        places = np.where(occupied, (places + 1) & mask, places)
