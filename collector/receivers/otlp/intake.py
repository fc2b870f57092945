"""OTLP intake, the same for every transport: a body goes in, what came of it comes out, and the ledger knows.

Blocking: transports call it from worker threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from obs import otlp
from obs.collector.ledger import Ledger
from obs.collector.pipeline import Pipeline
from obs.errors import ObsError, Overloaded, StorageFull, TooLarge, Unavailable, UnsupportedMedia, UserError
from obs.model.batch import Decoded, Signal
from obs.model.ports import UnknownSeries

REFUSALS: tuple[tuple[type[ObsError], str], ...] = (
    (Overloaded, "overloaded"),
    (StorageFull, "storage_full"),
    (Unavailable, "unavailable"),
    (TooLarge, "too_large"),
    (UnsupportedMedia, "unsupported_media"),
    (UserError, "malformed"),
)
"""The ledger's reason for each error, the first that fits."""


class Intake:
    """Decodes OTLP bodies, feeds them to the pipeline and keeps the ledger."""

    def __init__(self, pipeline: Pipeline, ledger: Ledger) -> None:
        self._pipeline = pipeline
        self._ledger = ledger
        self._series = otlp.SeriesCache()
        self._deltas = threading.Lock()

    def take(self, signal: Signal, body: bytes, receiver: str) -> Decoded:
        """Store what can be stored of a protobuf body; when this returns it is durable.

        Raises: UserError (malformed), Overloaded and StorageFull (nothing of it was stored).
        """
        try:
            with self._pipeline.admit(len(body)):
                decoded = self._store(signal, body)
        except ObsError as e:
            self.refuse(signal, receiver, e)
            raise
        self._ledger.record(signal, receiver, decoded.batch.items, decoded.rejected)
        return decoded

    def take_metrics(
        self, decode: Callable[[otlp.SeriesCache], Decoded], cache: otlp.SeriesCache, nbytes: int, receiver: str
    ) -> Decoded:
        """Store what `decode` makes of a body of `nbytes`, in any protocol of metrics without deltas; as `take`."""
        try:
            with self._pipeline.admit(nbytes):
                decoded = self._commit_metrics(decode, cache, decode(cache))
        except ObsError as e:
            self.refuse(Signal.METRICS, receiver, e)
            raise
        self._ledger.record(Signal.METRICS, receiver, decoded.batch.items, decoded.rejected)
        return decoded

    def refuse(self, signal: Signal, receiver: str, error: ObsError) -> None:
        """Count a request of which nothing was taken in."""
        reason = next((name for kind, name in REFUSALS if isinstance(error, kind)), "error")
        self._ledger.refuse(signal, receiver, reason)

    def _store(self, signal: Signal, body: bytes) -> Decoded:
        if signal is Signal.METRICS:
            return self._store_metrics(body)
        decoded = otlp.decode_traces(body) if signal is Signal.TRACES else otlp.decode_logs(body)
        self._pipeline.consume(decoded.batch)
        return decoded

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
        try:
            self._pipeline.consume(decoded.batch)
        except UnknownSeries:
            cache.clear()
            decoded = decode(cache)
            self._pipeline.consume(decoded.batch)
        cache.commit(decoded)
        return decoded
