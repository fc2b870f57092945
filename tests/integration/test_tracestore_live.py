"""The store while it lives: searched while it takes spans, flushes and merges; damaged; hard input."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from span_batches import SpanRow, spans_batch, spans_table, trace_id

from obs.columnar.options import EngineOptions
from obs.model.batch import Batch, Signal
from obs.tracestore import limits
from obs.tracestore.detail import detail
from obs.tracestore.query import TraceQuery
from obs.tracestore.store import TraceStore

NOW = 1_790_000_000 * 10**9


def opened(folder: Path, **options: float) -> TraceStore:
    store = TraceStore(folder, EngineOptions(**options))  # type: ignore[arg-type]
    store.open()
    assert store.engine.wait_recovered()
    return store


def chain(first: int, rows: int, end: int) -> Batch:
    """Spans first + 1 … of trace 1, each the child of the one before."""
    number = np.arange(first, first + rows)
    like = spans_table([SpanRow(1, 1)])
    ids = [
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(8), rows, [None, pa.py_buffer(n.astype(">u8").tobytes())])
        for n in (number + 1, number)
    ]
    made = {"span_id": ids[0], "start_ns": pa.array(NOW + number), "end_ns": pa.array(np.full(rows, NOW + end))}
    made["parent_span_id"] = pc.if_else(pa.array(number > 0), ids[1], pa.scalar(None, pa.binary(8)))
    same = pa.array(np.zeros(rows, np.int32))
    columns = [made.get(name, column) for name, column in zip(like.schema.names, like.columns, strict=True)]
    columns = [c if len(c) == rows else c.take(same) for c in columns]
    return Batch(Signal.TRACES, {"spans": pa.RecordBatch.from_arrays(columns, schema=like.schema)})


def test_every_acknowledged_trace_is_found_at_every_moment(tmp_path: Path) -> None:
    store = opened(tmp_path / "t", flush_rows=300, compact_interval_s=0.05)
    rounds, faults = 60, []

    def write(writer: int) -> None:
        for i in range(rounds):
            number = writer * rounds + i + 1
            store.consume(spans_batch(SpanRow(number, 1, start=NOW + number, end=NOW + number + 5)))
            child = SpanRow(number, 2, parent=1, service="cart", start=NOW + number + 1, end=NOW + number + 3)
            store.consume(spans_batch(child))
            found = store.by_id(trace_id(number))
            if found is None or found.summary.spans != 2 or found.source.dag.depth.tolist() != [0, 1]:
                faults.append(number)

    writers = [threading.Thread(target=write, args=(w,)) for w in range(3)]
    for thread in writers:
        thread.start()
    seen = 0
    while any(t.is_alive() for t in writers):
        found = store.search(TraceQuery(limit=1000, order="spans"))
        assert len(found.traces) >= seen
        seen = len(found.traces)
        if seen % 5 == 0:
            store.flush()
    for thread in writers:
        thread.join()
    assert not faults
    store.flush()
    store.engine.compact()
    (edge,) = store.dependencies(TraceQuery())
    assert (edge.parent, edge.child, edge.calls) == ("shop", "cart", 3 * rounds)
    assert {t.spans for t in store.search(TraceQuery(limit=1000)).traces} == {2}
    store.close()


@pytest.mark.parametrize("flushed", [False, True])
def test_a_trace_of_200_000_spans_is_stored_found_and_read_in_pages(tmp_path: Path, flushed: bool) -> None:
    n = 200_000
    store = opened(tmp_path / "t")
    for first in range(0, n, 20_000):
        store.consume(chain(first, 20_000, n))
    if flushed:
        store.flush()
    (hit,) = store.search(TraceQuery(service="shop", limit=5)).traces
    assert hit.spans == n
    trace = store.by_id(trace_id(1))
    assert trace is not None
    page = detail(trace, 150_000, limits.SPANS_PER_PAGE)
    assert (page["spans"][0]["depth"], page["next"]) == (150_000, 160_000)
    store.close()


def test_hard_input_is_stored_and_answered(tmp_path: Path) -> None:
    store = opened(tmp_path / "t")
    events = tuple({"time_ns": i, "name": "e", "attributes": "{}", "dropped": 0} for i in range(10_000))
    wide = [SpanRow(2, i + 1, start=5, attributes={f"k{i}": i}) for i in range(700)]
    rows = [
        SpanRow(1, 1, parent=1, start=9, end=3, events=events), SpanRow(3, 1, start=0, end=2**63 - 1),
        SpanRow(4, 1, service=None, name="", start=7_258_118_400 * 10**9, end=7_258_118_401 * 10**9),
    ]  # fmt: skip
    store.consume(spans_batch(*rows))
    for row in wide:
        store.consume(spans_batch(row))
    for _ in range(2):
        assert len(store.search(TraceQuery(limit=10)).traces) == 4
        assert len(store.search(TraceQuery(tags={"k699": "699"})).traces) == 1
        assert len(store.search(TraceQuery(tags={"k3": "3"})).traces) == 1
        found = store.by_id(trace_id(1))
        assert found is not None
        (span,) = detail(found, 0, 10)["spans"]
        assert (len(span["events"]), span["durationNs"], span["depth"]) == (10_000, 0, 0)
        assert store.search(TraceQuery(order="duration", limit=1)).traces[0].trace_id == trace_id(3)
        store.flush()
    store.close()


def test_a_damaged_block_is_left_out_and_the_rest_is_served(tmp_path: Path) -> None:
    store = opened(tmp_path / "t", compact_interval_s=3600)
    for number in (1, 2):
        store.consume(spans_batch(SpanRow(number, 1, start=NOW, name=f"n{number}")))
        store.flush()
    store.close()
    victim = min((tmp_path / "t" / "blocks").glob("*/spans.parquet"))
    data = bytearray(victim.read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    victim.write_bytes(bytes(data))
    store = opened(tmp_path / "t", compact_interval_s=3600)
    store.search(TraceQuery(operation="n1"))
    found = store.search(TraceQuery(operation="n2"))
    assert len(found.traces) == 1
    assert store.by_id(trace_id(2)) is not None
    assert store.by_id(trace_id(1)) is None
    store.close()


def test_traces_and_spans_over_many_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRACE_GROUP_ROWS", 2)
    monkeypatch.setattr(limits, "ROW_GROUP_ROWS", 3)
    store = opened(tmp_path / "t")
    rows = [
        SpanRow(i // 5 + 1, i + 1, 0, f"s{i % 7}", f"n{i}", NOW + i, attributes={"k": i, "odd": bool(i % 2)})
        for i in range(50)
    ]
    store.consume(spans_batch(*rows))
    store.flush()
    with_s3 = {i // 5 for i in range(50) if i % 7 == 3}
    assert len(store.search(TraceQuery(service="s3", limit=50)).traces) == len(with_s3)
    for i in (0, 17, 49):
        (found,) = store.search(TraceQuery(operation=f"n{i}")).traces
        assert found.trace_id == trace_id(i // 5 + 1)
        (found,) = store.search(TraceQuery(tags={"k": str(i), "odd": str(bool(i % 2)).lower()})).traces
        assert found.services == sorted({f"s{j % 7}" for j in range(i // 5 * 5, i // 5 * 5 + 5)})
        trace = store.by_id(found.trace_id)
        assert trace is not None
        assert trace.table.column("name").to_pylist() == [f"n{j}" for j in range(i // 5 * 5, i // 5 * 5 + 5)]
    store.close()
