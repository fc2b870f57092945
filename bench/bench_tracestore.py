"""What do spans cost, and how fast are they found? CPU per span for consume and flush, bytes per span, query times.

Run: python bench/bench_tracestore.py [--spans 10000000] [--folder F] [--load L] [--compact]. The spans are generated
(see span_generator), or those of an OTLP load folder (traces-*.pb; decoding is not counted). A folder that exists is
asked again, not filled.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from span_generator import batches

from obs import otlp, warm
from obs.errors import Overloaded
from obs.model.batch import Batch
from obs.tracestore.graph import GraphEdge
from obs.tracestore.ids import words_id
from obs.tracestore.opened import Snapshot
from obs.tracestore.query import Found, TraceQuery
from obs.tracestore.store import TraceStore
from obs.tracestore.traceql import plan

KERNELS = "obs.tracestore.kernels"
START_NS = 1_790_000_000 * 10**9


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--spans", type=int, default=10_000_000)
    arguments.add_argument("--hours", type=float, default=24.0)
    arguments.add_argument("--load", type=Path, help="a folder of OTLP bodies in place of generated spans")
    arguments.add_argument("--folder", type=Path, help="where the store is kept; asked again where it exists")
    arguments.add_argument("--compact", action="store_true", help="merge all blocks before the queries")
    given = arguments.parse_args()
    warm.load_now(KERNELS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary) / "traces"
        old = folder.exists()
        store = TraceStore(folder)
        store.open()
        store.engine.wait_recovered(60)
        if not old:
            load = given.load
            spans = fill(store, loaded(load) if load else batches(given.spans, 7, START_NS, given.hours))
            if given.compact:
                merged = cpu(store.engine.compact)
                print(f"compact                {merged / spans * 1e6:8.2f} µs CPU a span")
        with store.view() as view:
            rows = sum(block.meta.rows for block in view.blocks)
            stored = sum(block.meta.bytes_disk for block in view.blocks)
            print(
                f"on disk                {stored / rows:8.2f} bytes a span, {rows} spans in {len(view.blocks)} blocks\n"
            )
        ask(store)
        ask_once(store)
        store.close()


def loaded(folder: Path) -> list[Batch]:
    """The batches of an OTLP load."""
    return [otlp.decode_traces(path.read_bytes()).batch for path in sorted(folder.glob("traces-*.pb"))]


def fill(store: TraceStore, made: list[Batch] | Iterator[Batch]) -> int:
    """Consume everything and flush; returns the spans. What making the spans costs is not counted."""
    spans, making = 0, 0.0
    began, process = time.perf_counter(), time.process_time()
    source = iter(made)
    while True:
        before = time.thread_time()
        batch = next(source, None)
        making += time.thread_time() - before
        if batch is None:
            break
        feed(store, batch)
        spans += batch.items
    fed = time.process_time() - process - making
    flushed = cpu(store.flush)
    print(f"{spans} spans in {time.perf_counter() - began:.1f} s")
    print(f"consume                {fed / spans * 1e6:8.2f} µs CPU a span (with the flushes and merges that came due)")
    print(f"last flush             {flushed / spans * 1e6:8.2f} µs CPU a span")
    return spans


def feed(store: TraceStore, batch: Batch) -> None:
    """Consume, again and again while the store is full, as a sender does."""
    while True:
        try:
            return store.consume(batch)
        except Overloaded:
            time.sleep(0.05)


def ask(store: TraceStore) -> None:
    """Time the queries, first and best of five, and the least CPU time that one took."""
    some = store.search(TraceQuery(limit=1)).traces[0]
    middle = some.start_ns
    roots = plan('{ nestedSetParent < 0 && duration > 100ms && name =~ "frontend.*" }')
    below = plan(
        '{ resource.service.name = "checkout" } >> { resource.service.name = "bank-gateway" && status = error }'
    )
    queries: list[tuple[str, Callable[[], Any]]] = [
        ("trace by id", lambda: store.by_id(some.trace_id)),
        ("20 traces of a service", lambda: store.search(TraceQuery(service="cart"))),
        ("by a rare tag", lambda: store.search(TraceQuery(tags={"user.id": "u77"}))),
        ("by status code 500", lambda: store.search(TraceQuery(tags={"http.response.status_code": "500"}))),
        ("slower than 200 ms", lambda: store.search(TraceQuery(min_duration_ns=200_000_000))),
        ("errors of a service", lambda: store.search(TraceQuery(service="payment", status="error"))),
        ("service, operation, 20 ms", lambda: store.search(
            TraceQuery(service="cart", operation="cart.v1/Get", min_duration_ns=20_000_000))),
        ("a minute", lambda: store.search(TraceQuery(start_ns=middle - 60 * 10**9, end_ns=middle))),
        ("20 longest of all", lambda: store.search(TraceQuery(order="duration"))),
        ("TraceQL at the roots", lambda: store.search(roots.asked(TraceQuery()))),
        ("TraceQL, structural", lambda: store.search(below.asked(TraceQuery()))),
        ("service graph of all", lambda: store.dependencies(TraceQuery())),
        ("service graph of errors", lambda: store.dependencies(TraceQuery(status="error"))),
        ("services and operations", store.operations),
    ]  # fmt: skip
    print(f"{'query':28} {'first ms':>9} {'best ms':>9} {'CPU ms':>9}  answer")
    for name, query in queries:
        times = [timed_wall(query) for _ in range(5)]
        best, least = (min(t[i] for t in times) for i in (1, 2))
        print(f"{name:28} {times[0][1]:9.1f} {best:9.1f} {least:9.1f}  {said(times[0][0])}", flush=True)


def ask_once(store: TraceStore, count: int = 60) -> None:
    """Time random traces by id, each asked for once."""
    chance = np.random.default_rng(1)

    def some_ids(snapshot: Snapshot) -> list[bytes]:
        traces = [source.traces for source in snapshot.sources]
        places = chance.integers(0, len(traces), count).tolist()
        rows = [int(chance.integers(0, len(traces[p]))) for p in places]
        return [words_id(traces[p].high[i], traces[p].low[i]) for p, i in zip(places, rows, strict=True)]

    times = [timed_wall(partial(store.by_id, trace_id))[1:] for trace_id in store.ask(some_ids)]
    wall, used = np.array(times).T
    print(f"{count} traces by id, once each: median {np.median(wall):.1f} ms, most {wall.max():.1f} ms; "
          f"CPU {np.median(used):.1f} and {used.max():.1f} ms")  # fmt: skip


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


def timed_wall(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """The result, its milliseconds, and those of CPU time of all threads."""
    began, process = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - began) * 1e3, (time.process_time() - process) * 1e3


if __name__ == "__main__":
    main()
