"""What do spans cost, and how fast are they found? CPU per span for consume and flush, bytes per span, query times.

Bodies are those of an OTLP load folder (traces-*.pb). Run: python bench/bench_tracestore.py LOAD [--copies 1]
[--compact]. Copies are the same spans under other trace ids, an hour apart. Decoding is not counted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from obs import otlp, warm
from obs.errors import Overloaded
from obs.model.batch import Batch, Signal
from obs.tracestore.graph import GraphEdge
from obs.tracestore.query import Found, TraceQuery
from obs.tracestore.store import TraceStore
from obs.tracestore.traceql import parse

HOUR_NS = 3600 * 10**9
KERNELS = "obs.tracestore.kernels"


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("load", type=Path)
    arguments.add_argument("--copies", type=int, default=1)
    arguments.add_argument("--compact", action="store_true", help="merge all blocks before the queries")
    given = arguments.parse_args()
    warm.load_now(KERNELS)
    batches = [otlp.decode_traces(path.read_bytes()).batch for path in sorted(given.load.glob("traces-*.pb"))]
    with tempfile.TemporaryDirectory() as folder:
        store = TraceStore(Path(folder) / "traces")
        store.open()
        spans = fill(store, batches, given.copies)
        if given.compact:
            merged = cpu(store.engine.compact)
            print(f"compact                {merged / spans * 1e6:8.2f} µs CPU a span")
        with store.view() as view:
            stored = sum(block.meta.bytes_disk for block in view.blocks)
            print(f"on disk                {stored / spans:8.2f} bytes a span in {len(view.blocks)} blocks\n")
        ask(store, batches[0])
        store.close()


def fill(store: TraceStore, batches: list[Batch], copies: int) -> int:
    """Consume everything and flush; returns the spans."""
    spans = 0
    made = 0.0
    began, process = time.perf_counter(), time.process_time()
    for copy in range(copies):
        moved, cost = timed(lambda copy=copy: [copied(b, copy) for b in batches])
        made += cost
        for batch in moved:
            feed(store, batch)
            spans += batch.items
    fed = time.process_time() - process - made
    flushed = cpu(store.flush)
    wall = time.perf_counter() - began
    flushes = "" if copies == 1 else " (with the flushes that came due)"
    print(f"{spans} spans in {wall:.1f} s")
    print(f"consume                {fed / spans * 1e6:8.2f} µs CPU a span{flushes}")
    print(f"last flush             {flushed / spans * 1e6:8.2f} µs CPU a span")
    print(f"both                   {(fed + flushed) / spans * 1e6:8.2f} µs CPU a span")
    return spans


def feed(store: TraceStore, batch: Batch) -> None:
    """Consume, again and again while the store is full, as a sender does."""
    while True:
        try:
            return store.consume(batch)
        except Overloaded:
            time.sleep(0.05)


def copied(batch: Batch, copy: int) -> Batch:
    """The batch under other trace ids, `copy` hours earlier."""
    if not copy:
        return batch
    table = batch.tables["spans"]
    raw = np.frombuffer(table.column("trace_id").buffers()[1], np.uint64).copy()
    raw ^= np.uint64(copy * 0x9E3779B97F4A7C15 % 2**64)
    ids = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), table.num_rows, [None, pa.py_buffer(raw)])
    columns: dict[str, Any] = {"trace_id": ids}
    for name in ("start_ns", "end_ns"):
        columns[name] = pa.array(table.column(name).to_numpy() - copy * HOUR_NS)
    arrays = [columns.get(n, table.column(n)) for n in table.schema.names]
    return Batch(Signal.TRACES, {"spans": pa.RecordBatch.from_arrays(arrays, schema=table.schema)})


def ask(store: TraceStore, batch: Batch) -> None:
    """Time the queries, first and best of five."""
    spans = batch.tables["spans"]
    some_id = spans.column("trace_id")[0].as_py()
    middle = spans.column("start_ns")[0].as_py()
    user = spans.column("attr.user.id:str")[0].as_py()
    structural = parse('{ nestedSetParent < 0 && duration > 100ms && name =~ "frontend.*" }')
    queries = [
        ("20 traces of a service", lambda: store.search(TraceQuery(service="cart"))),
        ("by a rare tag", lambda: store.search(TraceQuery(tags={"user.id": user}))),
        ("by status code 500", lambda: store.search(TraceQuery(tags={"http.response.status_code": "500"}))),
        ("slower than 200 ms", lambda: store.search(TraceQuery(min_duration_ns=200_000_000))),
        ("errors of a service", lambda: store.search(TraceQuery(service="payment", status="error"))),
        ("service, operation, 20 ms", lambda: store.search(
            TraceQuery(service="cart", operation="cart.v1/Get", min_duration_ns=20_000_000))),
        ("a minute", lambda: store.search(TraceQuery(start_ns=middle, end_ns=middle + 60 * 10**9))),
        ("20 longest of all", lambda: store.search(TraceQuery(order="duration"))),
        ("TraceQL at the roots", lambda: store.search(TraceQuery(where=structural))),
        ("trace by id", lambda: store.by_id(some_id)),
        ("dependencies", lambda: store.dependencies(TraceQuery())),
        ("dependencies of errors", lambda: store.dependencies(TraceQuery(status="error"))),
        ("services and operations", store.operations),
    ]  # fmt: skip
    print(f"{'query':28} {'first ms':>9} {'best ms':>9}  answer")
    for name, query in queries:
        times = [timed_wall(query) for _ in range(5)]
        print(f"{name:28} {times[0][1]:9.1f} {min(t for _, t in times):9.1f}  {said(times[0][0])}")


def said(answer: Any) -> str:
    """An answer in a few words."""
    if isinstance(answer, Found):
        stats = answer.stats
        return f"{len(answer.traces)} of {stats.traces_matched} traces, {stats.rows_read} rows read"
    if isinstance(answer, list) and answer and isinstance(answer[0], GraphEdge):
        return f"{len(answer)} edges, {sum(e.calls for e in answer)} calls"
    return f"{answer.table.num_rows} spans" if hasattr(answer, "table") else f"{len(answer)} entries"


def cpu(work: Callable[[], Any]) -> float:
    """CPU seconds of all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result and its CPU seconds in this thread."""
    began = time.thread_time()
    result = work()
    return result, time.thread_time() - began


def timed_wall(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result and its milliseconds."""
    began = time.perf_counter()
    result = work()
    return result, (time.perf_counter() - began) * 1e3


if __name__ == "__main__":
    main()
