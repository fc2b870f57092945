"""OTLP intake, the same for every transport: a body goes in, what came of it comes out, and the ledger knows.

Blocking: transports call it from worker threads.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

from obs import otlp
from obs.collector import limits
from obs.collector.ledger import Ledger
from obs.collector.pipeline import Pipeline, Room
from obs.errors import ObsError, Overloaded, StorageFull, TooLarge, TooSlow, Unavailable, UnsupportedMedia, UserError
from obs.model.batch import Decoded, Signal
from obs.model.ports import Stored, UnknownSeries

log = logging.getLogger("obs.intake")

REFUSALS: tuple[tuple[type[ObsError], str], ...] = (
    (Overloaded, "overloaded"),
    (StorageFull, "storage_full"),
    (Unavailable, "unavailable"),
    (TooLarge, "too_large"),
    (TooSlow, "too_slow"),
    (UnsupportedMedia, "unsupported_media"),
    (UserError, "malformed"),
)
"""The ledger's reason for each error, the first that fits."""

SERIES_TRIES = 4
"""The store forgets series with a WAL segment; another body may teach and outdate the cache between two tries."""


class Fault(ObsError):
    """A bug of ours; the log has it under the id that the message names."""

    http_status = 500


def _fault(signal: Signal, receiver: str, error: Exception) -> ObsError:
    if isinstance(error, MemoryError):
        return Overloaded(f"cannot take {signal.value}: no memory is left; send them again later", limits.RETRY_AFTER_S)
    fault = secrets.token_hex(8)
    log.error("fault %s in %s from %s", fault, signal.value, receiver, exc_info=error)
    return Fault(f"internal error {fault}; the server's log has the details under this id")


def _with(decoded: Decoded, stored: Stored) -> Decoded:
    """What came of a body once a store took of it what it has room for."""
    if not stored.dropped:
        return decoded
    rejected = Counter(decoded.rejected) + Counter(stored.dropped)
    return replace(decoded, batch=stored.batch, rejected=rejected, why=stored.why)


class Intake:
    """Decodes OTLP bodies, feeds them to the pipeline and keeps the ledger."""

    def __init__(self, pipeline: Pipeline, ledger: Ledger, typed: bool = False) -> None:
        """`typed`: whether series of metrics have their type and unit as labels, where these are known."""
        self._pipeline = pipeline
        self._ledger = ledger
        self.typed = typed
        self._series = otlp.SeriesCache(typed)
        self._deltas = threading.Lock()

    def room(self, nbytes: int = 0) -> AbstractContextManager[Room]:
        """Room for a body of `nbytes`, or for one that arrives piece by piece; it grows. Raises: Overloaded."""
        return self._pipeline.room(nbytes)

    def held_room(self) -> Room:
        """The same, empty at first, for who gives it back by itself."""
        return self._pipeline.held_room()

    def take(self, signal: Signal, body: bytes, receiver: str, room: Room | None = None) -> Decoded:
        """Store what can be stored of a protobuf body; when this returns it is durable. `room`: what it holds already.

        Raises: UserError (malformed), Overloaded and StorageFull (nothing of it was stored), Fault.
        """

        def store() -> Decoded:
            with nullcontext() if room else self._pipeline.room(len(body)):
                return self._store(signal, body)

        return self._record(signal, receiver, store)

    def take_metrics(
        self, decode: Callable[[otlp.SeriesCache], Decoded], cache: otlp.SeriesCache, receiver: str
    ) -> Decoded:
        """Store what `decode` makes of a body of metrics without deltas that has its room; otherwise as `take`."""
        return self._record(Signal.METRICS, receiver, lambda: self._commit_metrics(decode, cache, decode(cache)))

    def take_decoded(self, signal: Signal, decode: Callable[[], Decoded], receiver: str) -> Decoded:
        """Store what `decode` makes of a body of logs or traces that has its room; otherwise as `take`."""

        def store() -> Decoded:
            decoded = decode()
            return _with(decoded, self._pipeline.consume(decoded.batch))

        return self._record(signal, receiver, store)

    def _record(self, signal: Signal, receiver: str, store: Callable[[], Decoded]) -> Decoded:
        """Run `store` and enter in the ledger what came of it."""
        try:
            decoded = store()
        except ObsError as e:
            self.refuse(signal, receiver, e)
            raise
        except Exception as e:
            raise self.fault(signal, receiver, e) from None
        self._ledger.record(signal, receiver, decoded.batch.items, decoded.rejected)
        return decoded

    def fault(self, signal: Signal, receiver: str, error: Exception) -> ObsError:
        """Count and log a request that met a bug; what to say of it."""
        fault = _fault(signal, receiver, error)
        self.refuse(signal, receiver, fault)
        return fault

    def refuse(self, signal: Signal, receiver: str, error: ObsError) -> None:
        """Count a request of which nothing was taken in."""
        reason = next((name for kind, name in REFUSALS if isinstance(error, kind)), "error")
        self._ledger.refuse(signal, receiver, reason)

    def drop(self, signal: Signal, receiver: str, reason: str, count: int) -> None:
        """Count items that were received and could not be taken, where nobody can be told."""
        self._ledger.record(signal, receiver, 0, {reason: count})

    def _store(self, signal: Signal, body: bytes) -> Decoded:
        if signal is Signal.METRICS:
            return self._store_metrics(body)
        decoded = otlp.decode_traces(body) if signal is Signal.TRACES else otlp.decode_logs(body)
        return _with(decoded, self._pipeline.consume(decoded.batch))

    def _store_metrics(self, body: bytes) -> Decoded:
        decode = partial(otlp.decode_metrics, body)
        decoded = decode(self._series)
        if not self._series.has_totals(decoded):
            return self._commit_metrics(decode, self._series, decoded)
        with self._deltas:  # a delta adds to the total that the body before it left
            return self._commit_metrics(decode, self._series, decode(self._series))

    def _commit_metrics(
        self, decode: Callable[[otlp.SeriesCache], Decoded], cache: otlp.SeriesCache, decoded: Decoded
    ) -> Decoded:
        for _ in range(SERIES_TRIES):
            try:
                stored = self._pipeline.consume(decoded.batch)
            except UnknownSeries:
                cache.clear()
                decoded = decode(cache)
            else:
                cache.commit(decoded)
                return _with(decoded, stored)
        raise Unavailable("cannot take metrics: their series were forgotten while they were read; send them again")
