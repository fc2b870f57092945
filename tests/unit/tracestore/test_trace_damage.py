"""A block that rots while it is open goes to quarantine when a query meets it; the rest is served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from span_batches import SpanRow, spans_batch, trace_id

from obs import warm
from obs.tracestore.query import TraceQuery
from obs.tracestore.store import TraceStore
from obs.tracestore.traceql import parse

EVER = (-(2**63), 2**63 - 1)


@pytest.fixture
def spoilt(tmp_path: Path) -> Iterator[TraceStore]:
    """Two blocks of 100 traces, both open; the spans of the first are then overwritten."""
    warm.load_now("obs.tracestore.kernels")
    store = TraceStore(tmp_path)
    store.open()
    for first in (1, 1001):
        store.consume(
            spans_batch(*(SpanRow(first + i, 1, attributes={"n": i, "s": f"t{i}"}, start=i) for i in range(100)))
        )
        store.flush()
    assert len(numbers_of(store, -1)) == 200  # asked by another question: what was found once is not read again
    path = min(tmp_path.glob("blocks/*/spans.parquet"))
    path.write_bytes(bytes(b ^ 0x5A for b in path.read_bytes()))
    yield store
    store.close()


def numbers_of(store: TraceStore, least: int = 0) -> set[int]:
    query = TraceQuery(where=parse(f"{{ .n >= {least} }}"), limit=1000, start_ns=EVER[0], end_ns=EVER[1])
    return {int.from_bytes(found.trace_id, "big") for found in store.search(query).traces}


@pytest.mark.parametrize(
    "ask",
    [
        numbers_of,
        lambda store: store.search(TraceQuery(where=parse('{ .s = "t7" }'), start_ns=EVER[0], end_ns=EVER[1])),
        lambda store: store.by_id(trace_id(1)),
        lambda store: store.tag_values(".n", *EVER),
        lambda store: store.dependencies(TraceQuery(where=parse("{ .n > 5 }"), start_ns=EVER[0], end_ns=EVER[1])),
    ],
)
def test_the_rest_is_served(spoilt: TraceStore, ask: Callable[[TraceStore], object]) -> None:
    ask(spoilt)
    assert spoilt.engine.counters.quarantined == 1
    assert numbers_of(spoilt) == set(range(1001, 1101))
    assert spoilt.by_id(trace_id(1)) is None
