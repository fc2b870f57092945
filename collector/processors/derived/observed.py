"""A consumer that shows what its next one took to whoever derives something from it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pyarrow as pa

from obs.model.batch import Batch
from obs.model.ports import Consumer, Stored

log = logging.getLogger("obs.derived")

Observe = Callable[[pa.RecordBatch], None]


class Observed:
    """Spans are observed once they are durable: those of a body that is refused, and comes again, count once."""

    def __init__(self, then: Consumer, observers: Sequence[Observe]) -> None:
        self._then, self._observers = then, tuple(observers)

    def consume(self, batch: Batch) -> Stored | None:
        """Store, then observe."""
        stored = self._then.consume(batch)
        taken = (stored.batch if stored else batch).tables.get("spans")
        if taken is not None and taken.num_rows:
            for observe in self._observers:
                try:
                    observe(taken)
                except Exception:  # the spans are stored: their sender must not send them again
                    log.exception("a batch of %d spans was not counted in derived metrics", taken.num_rows)
        return stored
