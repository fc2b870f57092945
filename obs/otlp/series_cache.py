"""What a receiver of metrics remembers between bodies: series whose labels the store holds, and running totals.

Decoding only reads it and returns what it learned in `Decoded.pending`; `commit` records that once a store took the
batch. A body that is refused, or decoded twice, therefore leaves no trace, and its deltas count once. Two bodies with
deltas of the same series must not be in flight at one time: the later would be added to a total without the earlier.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from obs.model.batch import Decoded
from obs.otlp.delta import Total
from obs.otlp.limits import MAX_CACHED_SERIES, MAX_DELTA_SERIES
from obs.otlp.slots import Int64s, MetadataKey, Slots


@dataclass(frozen=True, slots=True)
class Pending:
    """What a decoded body taught, to be kept once it is stored."""

    generation: int
    series: frozenset[int] = frozenset()
    metadata: frozenset[MetadataKey] = frozenset()
    totals: Mapping[int, Total] = field(default_factory=dict)  # by series_id, what to add
    slots: tuple[int, ...] = ()
    begun: Int64s | None = None  # see `Slots.begin`


class SeriesCache:
    """Series, metadata and totals that earlier bodies brought. Safe to use from several threads."""

    def __init__(self, typed: bool = False) -> None:
        """`typed`: whether the series have the labels `__type__` and `__unit__`."""
        self.typed = typed
        self.lock = threading.Lock()
        self.generation = 0
        self.series: set[int] = set()
        self.metadata: set[MetadataKey] = set()
        self.totals: dict[int, Total] = {}
        self._buckets = 0  # of all totals
        self.slots = Slots()

    def clear(self) -> None:
        """Forget which series the store holds, since it said otherwise. Totals stay: they are no one else's."""
        with self.lock:
            self._clear()

    def _clear(self) -> None:
        self.generation += 1
        self.series = set()
        self.metadata = set()
        self.slots = Slots()

    def has_totals(self, decoded: Decoded) -> bool:
        """Whether `decoded` holds deltas, so that no other body may be decoded between it and its commit."""
        return isinstance(decoded.pending, Pending) and bool(decoded.pending.totals)

    def commit(self, decoded: Decoded) -> None:
        """Record what `decoded` brought: a store has taken its batch. Once per body."""
        pending = decoded.pending
        if not isinstance(pending, Pending):
            return
        with self.lock:
            self._add_totals(pending.totals)
            if pending.generation != self.generation:
                return
            self.series.update(pending.series)
            self.metadata.update(pending.metadata)
            self.slots.commit(pending.slots)
            if pending.begun is not None:
                self.slots.begin(pending.begun)
            if len(self.series) > MAX_CACHED_SERIES or self.slots.count > MAX_CACHED_SERIES:
                self._clear()

    def _add_totals(self, increments: Mapping[int, Total]) -> None:
        for series_id, increment in increments.items():
            earlier = self.totals.pop(series_id, None)
            total = self.totals[series_id] = increment.after(earlier)
            self._buckets += total.buckets - (earlier.buckets if earlier is not None else 0)
        while len(self.totals) + self._buckets > MAX_DELTA_SERIES:
            self._buckets -= self.totals.pop(next(iter(self.totals))).buckets
