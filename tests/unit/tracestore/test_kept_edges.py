"""Service graphs with a filter: what a block counted is remembered, by the whole condition, within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from span_batches import SpanRow, spans_batch

from obs.tracestore import limits
from obs.tracestore.query import TraceQuery
from obs.tracestore.store import TraceStore
from obs.tracestore.traceql import parse

CALLS = {".k = 1": 10, '.k = "1"': 20, ".k = true": 30, ".k != 1": 0, "!(.k = 1)": 50, "status = error": 5}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    """A block of 60 calls of a cart by a web server: spans 1 call spans 2."""
    store = TraceStore(tmp_path)
    store.open()
    values = [1] * 10 + ["1"] * 20 + [True] * 30
    for i, value in enumerate(values):
        status = 2 if i < 5 else 0
        called = SpanRow(i + 1, 2, 1, "cart", start=i, status=status, attributes={"k": value})
        store.consume(spans_batch(SpanRow(i + 1, 1, service="web", start=i), called))
    store.flush()
    yield store
    store.close()


def calls(store: TraceStore, text: str, start_ns: int = 0, end_ns: int = 1000) -> int:
    query = TraceQuery(where=parse(f"{{ {text} }}"), start_ns=start_ns, end_ns=end_ns)
    return sum(edge.calls for edge in store.dependencies(query))


def test_a_block_is_read_once_for_a_condition(store: TraceStore, tmp_path: Path) -> None:
    assert {text: calls(store, text) for text in CALLS} == CALLS
    assert calls(store, ".k = 1", start_ns=4) == 6
    (path,) = tmp_path.glob("blocks/*/spans.parquet")
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))
    assert {text: calls(store, text) for text in CALLS} == CALLS
    assert calls(store, ".k = 1", start_ns=4, end_ns=60) == 6
    path.write_bytes(whole)
    assert calls(store, ".k = 1", start_ns=4, end_ns=5) == 2


def test_calls_that_come_to_stand_elsewhere_count_once(store: TraceStore) -> None:
    assert calls(store, ".k = 1") == 10
    store.consume(spans_batch(SpanRow(1, 2, 1, "cart", start=0, attributes={"k": "sent again"})))
    assert calls(store, ".k = 1") == 9
    store.flush()
    assert calls(store, ".k = 1") == 9


def test_what_is_remembered_has_bounds(store: TraceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = store._opened.edges
    monkeypatch.setattr(kept, "_most", 5 * (limits.EDGES_ENTRY_CELLS + 5))
    for i in range(20):
        assert calls(store, f".k = {i}") == (10 if i == 1 else 0)
    assert 0 < len(kept._kept) < 20
    assert kept._cells <= 5 * (limits.EDGES_ENTRY_CELLS + 5)
