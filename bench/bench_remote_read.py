"""How fast does remote read answer with a whole store, and in how much memory? Prints one table.

Counters at 15 s with jittered times, flushed into one block; both forms of answer, and a twentieth of the first
without kernels. Run: python bench/bench_remote_read.py [--series 5000] [--points 1440]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from obs import warm
from obs.model import schema
from obs.model.batch import Batch, Signal
from obs.model.labels import labels_id, make_labels
from obs.tsdb.remote_read import answers, encoding
from obs.tsdb.store import MetricStore

LATEST = 1 << 62
FLUSHES = 6


def filled(folder: Path, series: int, points: int) -> MetricStore:
    """A store with counters."""
    store = MetricStore(folder)
    store.open()
    labels = [make_labels({"__name__": f"m{i % 20}", "instance": str(i)}) for i in range(series)]
    ids = np.array([labels_id(each) for each in labels], np.uint64)
    known = pa.RecordBatch.from_pydict({"series_id": ids, "labels": [list(e) for e in labels]}, schema=schema.SERIES)
    rng, last = np.random.default_rng(1), np.zeros(series)
    for steps in np.array_split(np.arange(points), FLUSHES):
        values = np.cumsum(rng.integers(0, 50, (len(steps), series)), axis=0) + last
        times = np.repeat(1_700_000_000_000 + 15_000 * steps, series) + rng.integers(0, 20, values.size)
        columns = [pa.array(np.tile(ids, len(steps))), pa.array(times), pa.array(values.ravel().astype(float))]
        samples = pa.RecordBatch.from_arrays(columns, schema=schema.SAMPLES)
        store.consume(Batch(Signal.METRICS, {"series": known, "samples": samples}))
        last = values[-1]
    store.flush()
    return store


def rss_mb() -> float:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def measured(name: str, pieces: Iterator[bytes], samples: int) -> None:
    """One line of the table."""
    began, before, peak, size = time.perf_counter(), rss_mb(), 0.0, 0
    for piece in pieces:
        size += len(piece)
        peak = max(peak, rss_mb())
    took = time.perf_counter() - began
    print(f"{name:<28} {took:7.2f} {samples / took / 1e6:8.1f} {size / samples:7.2f} {peak - before:10.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=5000)
    parser.add_argument("--points", type=int, default=1440)
    given = parser.parse_args()
    warm.load_now("obs.tsdb.kernels")
    with tempfile.TemporaryDirectory() as folder:
        store = filled(Path(folder) / "metrics", given.series, given.points)
        every = given.series * given.points
        print(f"{'answer':<28} {'s':>7} {'M/s':>8} {'B each':>7} {'MB grown':>10}")
        few = given.points // 20
        until = 1_700_000_000_000 + 15_000 * few - 1
        measured("chunks, plain Python", answers.frames(0, store.slices((), 0, until)), given.series * few)
        warm.load_now(encoding.KERNELS)
        measured("chunks, streamed", answers.frames(0, store.slices((), 0, LATEST)), every)
        measured("samples, one message", map(answers.query_result, [store.slices((), 0, LATEST)]), every)
        store.close()


if __name__ == "__main__":
    main()
