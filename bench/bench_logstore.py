"""The log store by figures: CPU a record taken in, bytes a record on disk, and how long queries take.

usage: bench_logstore.py LOAD [--repeat N]     LOAD: a folder of OTLP bodies `logs-*.pb`
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from obs import otlp, warm
from obs.columnar.options import EngineOptions
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore
from obs.model.batch import Batch

HOUR_NS = 3600 * 1_000_000_000
QUERIES = {
    "needle absent": '{} |= "zebra_unicorn_42"',
    "needle rare": "{{}} |= `{rare}`",
    "word rare": "{rare_word}",
    "newest 100": "{}",
    "newest 100 errors of one service": '{service_name="cart"} | detected_level = "error"',
    "trace id": '{{}} | trace_id = "{trace}"',
}
COUNTS = {
    "phrase count": 'sum(count_over_time({} |= "cache miss" [%dns]))',
    "regex count": 'sum(count_over_time({} |~ "took \\\\d+ms" [%dns]))',
    "errors by service": 'sum by (service_name) (count_over_time({} | detected_level = "error" [%dns]))',
}


def main() -> None:
    """Take the load in, flush, compact, ask; print a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load", type=Path)
    parser.add_argument("--repeat", type=int, default=1, help="take the load in so many times, each an hour later")
    given = parser.parse_args()
    warm.load_now("obs.logstore.kernels")
    batches = [otlp.decode_logs(path.read_bytes()).batch for path in sorted(given.load.glob("logs-*.pb"))]
    with tempfile.TemporaryDirectory() as folder:
        store = LogStore(Path(folder), EngineOptions(compact_interval_s=3600))
        store.open()
        measure(store, batches, given.repeat)
        store.close()
    print(f"{'memory, peak':36} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:10.0f} MiB")


def measure(store: LogStore, batches: list[Batch], repeat: int) -> None:
    """Ingest, then the same queries on the head's remains and blocks, before and after compaction."""
    records = sum(b.items for b in batches) * repeat
    consume = flush = 0.0
    for turn in range(repeat):
        shifted = [_later(b, turn * HOUR_NS) for b in batches]
        consume += _cpu(lambda shifted=shifted: [store.consume(b) for b in shifted])
        flush += _cpu(store.flush)
    print(f"{'records':36} {records:10,d}")
    print(f"{'consume, CPU':36} {consume / records * 1e6:10.2f} us/record")
    print(f"{'flush, CPU':36} {flush / records * 1e6:10.2f} us/record")
    _sizes(store, records)
    ask(store, batches, repeat)
    compact = _cpu(store.engine.compact)
    print(f"{'compaction, CPU':36} {compact / records * 1e6:10.2f} us/record")
    _sizes(store, records)
    ask(store, batches, repeat)


def _sizes(store: LogStore, records: int) -> None:
    stats = store.stats()
    print(f"{'on disk':36} {stats.bytes_disk / records:10.1f} bytes/record in {stats.blocks} blocks")


def ask(store: LogStore, batches: list[Batch], repeat: int) -> None:
    """Each query three times; the best counts."""
    logql = LogQL(store)
    start, end = _bounds(batches)
    end += (repeat - 1) * HOUR_NS
    rows = batches[len(batches) // 2].tables["logs"]
    line = next(x for x in rows.column("body").to_pylist() if "session=" in x)
    words = {
        "rare": line.split("session=")[1],
        "rare_word": line.split("session=")[1],
        "trace": rows.column("trace_id")[0].as_py().hex(),
    }
    for name, query in QUERIES.items():
        text = query.format(**words) if "{rare" in query or "{trace" in query else query
        _show(name, lambda text=text: len(logql.records(text, start, end + 1, 100).entries))
    for name, query in COUNTS.items():
        text = query % (end - start + 1)
        _show(name, lambda text=text: sum(v.value for v in logql.instant(text, end // 1_000_000 + 1)))
    volume = "sum by (detected_level) (count_over_time({} [60s]))"
    _show("volume histogram, a minute a step", lambda: logql.range(volume, start, end, 60 * 10**9)[0].values.sum())


def _show(name: str, work: Callable[[], float]) -> None:
    best, found = float("inf"), 0.0
    for _ in range(3):
        began = time.perf_counter()
        found = work()
        best = min(best, time.perf_counter() - began)
    print(f"  {name:34} {best * 1e3:10.1f} ms   {found:,.0f} found")


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _bounds(batches: list[Batch]) -> tuple[int, int]:
    ranges = [pc.min_max(b.tables["logs"].column("time_ns")).as_py() for b in batches]
    return min(r["min"] for r in ranges), max(r["max"] for r in ranges)


def _later(batch: Batch, by_ns: int) -> Batch:
    table = batch.tables["logs"]
    if not by_ns:
        return batch
    moved = {
        n: pc.add(table.column(n), by_ns) if n in ("time_ns", "observed_ns") else table.column(n)
        for n in table.schema.names
    }
    return Batch(batch.signal, {"logs": pa.RecordBatch.from_arrays(list(moved.values()), schema=table.schema)})


if __name__ == "__main__":
    main()
