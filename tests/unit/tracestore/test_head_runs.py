"""The head is read as sorted runs: what is added sorts the last one only, and traces in several count once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from span_batches import SpanRow, spans_batch, trace_id

from obs.columnar import head
from obs.tracestore.expressions import Attribute, Compare
from obs.tracestore.query import MAX_NS, TraceQuery
from obs.tracestore.sources import MemorySource
from obs.tracestore.store import TraceStore
from obs.tracestore.summaries import TraceRows

SPANS, TRACES = 60, 7


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TraceStore]:
    monkeypatch.setattr(head, "HEAD_TAIL_ROWS", 4)
    monkeypatch.setattr(head, "HEAD_RUN_ROWS", 20)
    store = TraceStore(tmp_path / "traces")
    store.open()
    yield store
    store.close()


def row(number: int) -> SpanRow:
    """The spans of a trace come one after another's, each the child of the one before, of another service."""
    span, trace = divmod(number, TRACES)
    return SpanRow(
        trace + 1, span + 1, span, "web" if span % 2 else "cart", start=100 * number, end=100 * number + 10 + trace,
        status=2 if span == 5 else 0, attributes={"n": span},
    )  # fmt: skip


def sources(store: TraceStore) -> list[MemorySource]:
    return store.ask(lambda snapshot: [s for s in snapshot.sources if isinstance(s, MemorySource)])


def test_full_runs_are_sorted_once(store: TraceStore) -> None:
    seen: set[MemorySource] = set()
    new = []
    for number in range(SPANS):
        store.consume(spans_batch(row(number)))
        found = sources(store)
        assert sum(len(s.order) for s in found) == number + 1
        new.append(sum(len(s.order) for s in found if s not in seen))
        seen = set(found)
    assert max(new) <= 20 + 4 and len(seen) > 2
    assert sources(store) == sources(store)
    store.flush()
    assert sources(store) == []


QUERIES = [
    TraceQuery(limit=5), TraceQuery(service="web", limit=3), TraceQuery(tags={"n": "3"}, order="duration"),
    TraceQuery(status="error"), TraceQuery(min_duration_ns=14),
    TraceQuery(start_ns=1000, end_ns=2050, limit=50), TraceQuery(order="start", descending=False, limit=4),
]  # fmt: skip


def test_runs_answer_as_one_block_does(store: TraceStore) -> None:
    for number in [*range(SPANS), 3, 17]:  # two are sent again
        store.consume(spans_batch(row(number)))
        sources(store)  # runs are made when asked for
    assert len(sources(store)) > 2
    found = answers(store)
    store.flush()
    assert answers(store) == found


def answers(store: TraceStore) -> list[object]:
    where = Compare(Attribute(None, "n"), ">", 4)
    return [
        [store.search(query).traces for query in QUERIES],
        [store.dependencies(query) for query in QUERIES],
        [store.by_id(trace_id(trace)).summary for trace in range(1, TRACES + 1)],  # type: ignore[union-attr]
        store.services(), store.operations(), store.tag_names(where),
        store.tag_values("n", -MAX_NS, MAX_NS, where), store.tag_values("name", -MAX_NS, MAX_NS),
        store.trace_counts([trace_id(3)]),
    ]  # fmt: skip


@pytest.mark.parametrize("wanted", [[], [5], [0, 7, 39], list(range(40))])
def test_few_and_many_keys_are_found_alike(wanted: list[int]) -> None:
    traces = several(40)
    keys = np.sort(traces.keys[np.isin(traces.key_order, wanted)])
    for asked in (keys, np.unique(np.append(keys, np.arange(10**6, 10**6 + 9, dtype=np.uint64)))):
        assert np.flatnonzero(traces.among(asked)).tolist() == wanted


def several(traces: int) -> TraceRows:
    spans = spans_batch(*(SpanRow(i + 1, 1) for i in range(traces))).tables["spans"]
    return MemorySource("some", pa.Table.from_batches([spans])).traces
