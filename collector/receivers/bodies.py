"""Bodies of logs and traces over HTTP, the same for every protocol: read in their room, inflated, decoded and stored.

A receiver gives the decoder and answers in its protocol's own terms; what it is told are the errors of `obs.errors`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request

from obs.collector import limits
from obs.collector.body import read_body
from obs.collector.inflate import Grow, inflate
from obs.collector.limits import BodySizes
from obs.collector.pipeline import Room
from obs.collector.receivers.otlp.intake import Intake
from obs.errors import ObsError
from obs.model.batch import Decoded, Signal

Decode = Callable[[bytes], Decoded]
Inflate = Callable[[bytes, str, int, Grow], bytes]


class Bodies:
    """Takes bodies of one signal for the receiver `name`; one thread pool for each."""

    def __init__(self, intake: Intake, signal: Signal, name: str, sizes: BodySizes = BodySizes()) -> None:
        self._intake, self._signal, self._name = intake, signal, name
        self._sizes = sizes
        self._workers = ThreadPoolExecutor(limits.DECODE_THREADS, thread_name_prefix=name)

    def close(self) -> None:
        """Wait for bodies in work."""
        self._workers.shutdown()

    async def take(self, request: Request, decode: Decode, inflated: Inflate = inflate) -> Decoded:
        """Store the items of a request's body; durable when it returns.

        Raises: ClientDisconnect, UserError, Unavailable, Fault; nothing was stored then, and the ledger knows why.
        """
        with self._intake.room() as room:
            try:
                body = await read_body(request, self._sizes.body, room)
            except ObsError as e:
                self._intake.refuse(self._signal, self._name, e)
                raise
            encoding = request.headers.get("content-encoding", "")
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._workers, self._stored, body, encoding, decode, inflated, room)

    def _stored(self, body: bytes, encoding: str, decode: Decode, inflated: Inflate, room: Room) -> Decoded:
        def decoded() -> Decoded:
            return decode(inflated(body, encoding, self._sizes.inflated, room.grow))

        return self._intake.take_decoded(self._signal, decoded, self._name)
