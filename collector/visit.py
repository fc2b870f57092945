"""A request that a receiver takes whole, and the room that it holds: see `obs.serving.whole`.

In: pieces of a body as they come, then all of it. Out: the receiver's answer, made by a thread of its crew.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from starlette.responses import Response

from obs.collector.body import too_slow
from obs.collector.crew import Crew
from obs.collector.pipeline import Room
from obs.errors import ObsError


class Refusals(Protocol):
    """How a receiver says no."""

    def refuse(self, error: ObsError) -> Response:
        """Count a request that was not read whole; the answer."""

    def fault(self, error: Exception) -> Response:
        """Count and log a bug; the answer."""


class Visit:
    """One request; `take` makes the answer to its body in a thread of the crew."""

    __slots__ = ("_crew", "_refusals", "_room", "_take")

    def __init__(self, crew: Crew, room: Room, take: Callable[[bytes, Room], Response], refusals: Refusals) -> None:
        self._crew, self._room, self._take, self._refusals = crew, room, take, refusals

    def more(self, nbytes: int) -> Response | None:
        """Hold room for a piece: for what came, not for what was announced, or who sends nothing would hold it all."""
        try:
            self._room.grow(nbytes)
        except ObsError as e:
            self._room.leave()
            return self._refusals.refuse(e)
        return None

    def take(self, body: bytes, answer: Callable[[Response], None]) -> None:
        """Have it decoded and stored by a thread."""
        self._crew.do(partial(self._work, body, answer))

    def _work(self, body: bytes, answer: Callable[[Response], None]) -> None:
        try:
            response = self._take(body, self._room)
        except Exception as e:
            response = self._refusals.fault(e)
        finally:
            self._room.leave()
        answer(response)

    def too_slow(self, seconds: float) -> Response:
        """The body did not arrive in time."""
        self._room.leave()
        return self._refusals.refuse(too_slow(seconds))

    def leave(self) -> None:
        """The client went away."""
        self._room.leave()
