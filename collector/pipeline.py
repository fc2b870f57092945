"""The pipeline: a batch on its way from a receiver through the processors to the store of its signal.

It bounds the bytes in flight, so that a burst is refused with a time to come back instead of filling memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from obs.collector import limits
from obs.errors import Overloaded
from obs.model.batch import Batch, Signal
from obs.model.ports import Consumer, Stored

Processor = Callable[[Batch], Batch]


class Room:
    """What one body holds of the bytes that may be in work at one time; its pipeline gives it and takes it back."""

    def __init__(self, take: Callable[[int, int], None]) -> None:
        self._take = take
        self.held = 0

    def grow(self, nbytes: int) -> None:
        """Hold `nbytes` more. Raises: Overloaded, and the room stays as it was."""
        self._take(nbytes, self.held)
        self.held += nbytes

    def leave(self) -> None:
        """Give it back; safe to call twice."""
        held, self.held = self.held, 0
        self._take(-held, 0)


class Pipeline:
    """Runs `processors` in order, then hands the batch to the store of its signal."""

    def __init__(
        self,
        stores: Mapping[Signal, Consumer],
        processors: Sequence[Processor] = (),
        max_in_flight_bytes: int = limits.MAX_IN_FLIGHT_BYTES,
    ) -> None:
        self._stores = dict(stores)
        self._processors = tuple(processors)
        self._max_in_flight = max_in_flight_bytes
        self._in_flight = 0
        self._lock = threading.Lock()

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of bodies being worked on now."""
        return self._in_flight

    @contextmanager
    def room(self, nbytes: int = 0) -> Iterator[Room]:
        """Room for one body while it is read and worked on, `nbytes` at first. Raises: Overloaded."""
        room = self.held_room(nbytes)
        try:
            yield room
        finally:
            room.leave()

    def held_room(self, nbytes: int = 0) -> Room:
        """The same for who gives it back by itself. Raises: Overloaded."""
        room = Room(self._take)
        room.grow(nbytes)
        return room

    def _take(self, nbytes: int, held: int) -> None:
        """`nbytes` more for a body that holds `held`: one alone always gets them, since nobody is left to wait for."""
        with self._lock:
            others = self._in_flight - held
            if nbytes > 0 and others and self._in_flight + nbytes > self._max_in_flight:
                raise Overloaded(
                    f"cannot take a body of {held + nbytes} bytes: {others} bytes are being worked on; "
                    f"send it again in {limits.RETRY_AFTER_S:g} s",
                    limits.RETRY_AFTER_S,
                )
            self._in_flight += nbytes

    def consume(self, batch: Batch) -> Stored:
        """Process the batch and make it durable; says what was. Raises: Overloaded, StorageFull, UnknownSeries."""
        for process in self._processors:
            batch = process(batch)
        stored = self._stores[batch.signal].consume(batch) if batch.tables else None
        return stored or Stored(batch)
