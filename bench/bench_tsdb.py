"""What does the metric store cost: CPU per 1,000-point batch, per sample flushed and merged, bytes a sample, reads?

A scrape load like the shared one: half counters, half gauges of two decimals, 15 s apart, 1,000 points a batch, in
order of time; with --starts counters say when they began, as OTLP's intake tells it.
Run: python bench/bench_tsdb.py [--series 5000] [--points 480] [--jitter-ms 0] [--starts]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from obs import warm
from obs.columnar.options import EngineOptions
from obs.model.batch import Batch, Signal
from obs.model.labels import Labels, Matcher, MatchOp, labels_id, make_labels
from obs.model.schema import DAY_MS, SAMPLES, SERIES, STARTS
from obs.tsdb.selection import FIRST_MS, LAST_MS
from obs.tsdb.store import MetricStore

BATCH = 1_000
STEP_MS = 15_000
NEVER = 1 << 60
FIRST = 1_700_000_000_000


def labels_of(i: int) -> Labels:
    kind = f"shop_requests_{i // 200 % 10}_total" if i % 2 else f"shop_queue_depth_{i // 200 % 10}"
    return make_labels(
        {"__name__": kind, "job": f"svc-{i % 7}", "instance": f"svc-{i % 7}-{i % 3}", "route": f"/r/{i % 7}",
         "method": "POST" if i % 2 else "GET", "code": str(200 + i % 5 * 100), "shard": str(i)}
    )  # fmt: skip


def batches(series: int, points: int, jitter_ms: int, starts: bool = False) -> Iterator[Batch]:
    """Every scrape in batches; the first brings the labels."""
    rng = np.random.default_rng(7)
    labels = [labels_of(i) for i in range(series)]
    ids = np.array([labels_id(each) for each in labels], np.uint64)
    counter = np.arange(series) % 2 == 1
    value, t_ms = rng.integers(0, 1000, series).astype(float), FIRST
    for point in range(points):
        t_ms += STEP_MS
        step = np.where(counter, rng.integers(0, 60, series), rng.normal(0, 3, series).round(2))
        value = np.where(counter, value + step, np.maximum(0.0, (value + step).round(2)))
        times = t_ms + (rng.integers(-jitter_ms, jitter_ms + 1, series) if jitter_ms else np.zeros(series, np.int64))
        for low in range(0, series, BATCH):
            part = slice(low, low + BATCH)
            tables = {"samples": pa.record_batch([ids[part], times[part], value[part]], schema=SAMPLES)}
            if not point:
                known = [pa.array(ids[part]), pa.array([list(each) for each in labels[part]], SERIES.field(1).type)]
                tables["series"] = pa.record_batch(known, schema=SERIES)
            if starts and (not point or t_ms // DAY_MS != (t_ms - STEP_MS) // DAY_MS):
                began = [ids[part][counter[part]], times[part][counter[part]]]
                tables["starts"] = pa.record_batch([*began, np.full(len(began[0]), FIRST)], schema=STARTS)
            yield Batch(Signal.METRICS, tables)


class Costs:
    """CPU seconds of this process by name."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    @contextmanager
    def cpu(self, name: str, items: int, unit: str, scale: float) -> Iterator[None]:
        before = time.process_time()
        yield
        spent = time.process_time() - before
        self.lines.append((name, f"{spent / items * scale:10.3f} {unit}"))

    def best(self, name: str, ask: Callable[[], int], times: int = 5) -> None:
        took = []
        for _ in range(times):
            began = time.perf_counter()
            rows = ask()
            took.append(time.perf_counter() - began)
        self.lines.append((name, f"{took[0] * 1e3:10.2f} ms first, {min(took) * 1e3:.2f} ms best, {rows:,} rows"))


def read(costs: Costs, store: MetricStore, where: str) -> None:
    def ask(*matchers: Matcher) -> Callable[[], int]:
        return lambda: len(store.select(matchers, FIRST_MS, LAST_MS).values)

    one = [Matcher("__name__", MatchOp.EQ, "shop_requests_1_total")]
    costs.best(f"{where}: one series", ask(*one, Matcher("shard", MatchOp.EQ, "201")))
    costs.best(f"{where}: one metric of twenty", ask(*one))
    costs.best(f"{where}: half of all", ask(Matcher("__name__", MatchOp.RE, "shop_requests_.*")))
    costs.best(f"{where}: label values", lambda: len(store.label_values("shard", [one])))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=5_000)
    parser.add_argument("--points", type=int, default=480)
    parser.add_argument("--jitter-ms", type=int, default=0)
    parser.add_argument("--starts", action="store_true")
    parser.add_argument("--no-kernels", action="store_true")
    given = parser.parse_args()
    if not given.no_kernels:
        warm.load_now("obs.tsdb.kernels")
    costs = Costs()
    options = EngineOptions(flush_rows=NEVER, flush_bytes=NEVER, memory_limit_bytes=NEVER, compact_interval_s=3600.0)
    with tempfile.TemporaryDirectory() as folder:
        store = MetricStore(Path(folder) / "data", options)
        store.open()
        for part in range(2):
            load(costs, store, given, part)
        samples = store.stats().items_blocks
        costs.lines.append(("disk", f"{size(store) / samples:10.3f} bytes a sample ({samples:,}) before the merge"))
        with costs.cpu("merge", samples, "us a sample", 1e6):
            store.engine.compact()
        costs.lines.append(("disk", f"{size(store) / samples:10.3f} bytes a sample after the merge"))
        read(costs, store, "block")
        store.close()
    costs.lines.append(("memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:10.0f} MB at most"))
    for name, line in costs.lines:
        print(f"{name:32}{line}")


def load(costs: Costs, store: MetricStore, given: argparse.Namespace, part: int) -> None:
    half = given.points // 2
    every = list(batches(given.series, given.points, given.jitter_ms, given.starts))
    mine = every[len(every) // 2 * part : len(every) // 2 * (part + 1)]
    del every
    first = -(-given.series // BATCH)
    for name, group in (("consume, new series", mine[:first]), ("consume, known series", mine[first:])):
        with costs.cpu(name, len(group), "us a batch", 1e6):
            for batch in group:
                store.consume(batch)
    if part:
        read(costs, store, "head")
    with costs.cpu("flush", given.series * half, "us a sample", 1e6):
        store.flush()


def size(store: MetricStore) -> int:
    with store.view() as view:
        return sum(block.meta.bytes_disk for block in view.blocks)


if __name__ == "__main__":
    main()
