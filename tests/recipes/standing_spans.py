"""A trace store whose spans stand in the head, in a block or in both, and its API: answers must be the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient
from span_batches import SpanRow, spans_batch

from obs.columnar.options import EngineOptions
from obs.model.clock import SYSTEM_CLOCK, Clock
from obs.tracestore import api
from obs.tracestore.store import TraceStore


@dataclass(frozen=True)
class StandingClock:
    """A time that does not pass."""

    ns: int

    def now_ns(self) -> int:
        """The same at every call."""
        return self.ns


@contextmanager
def standing(
    folder: Path,
    where: str,
    first: Sequence[SpanRow],
    then: Sequence[SpanRow],
    clock: Clock = SYSTEM_CLOCK,
) -> Iterator[TraceStore]:
    """An open store that took two batches.

    `where`: both in the `head`; both in a `block`; `split`: the first in a block; `merged`: each in a block, merged;
    `reopened`: both read back from the log.
    """
    quiet = EngineOptions(compact_interval_s=3600)
    store = TraceStore(folder, quiet, clock)
    store.open()
    store.consume(spans_batch(*first))
    if where in ("split", "merged"):
        store.flush()
    store.consume(spans_batch(*then))
    if where in ("block", "merged"):
        store.flush()
    if where == "merged":
        store.engine.compact()
    if where == "reopened":
        store.close()
        store = TraceStore(folder, quiet, clock)
        store.open()
        assert store.engine.wait_recovered()
    try:
        yield store
    finally:
        store.close()


@contextmanager
def asked(store: TraceStore) -> Iterator[TestClient]:
    """A client of the store's API."""
    app = FastAPI()
    app.include_router(api.router(store))
    with TestClient(app) as client:
        yield client
