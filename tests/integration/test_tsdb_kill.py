"""`kill -9` in the middle of a load: every acknowledged sample is there once, under its labels, with its value."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from obs.columnar.options import EngineOptions
from obs.model.batch import Batch, Signal
from obs.model.labels import labels_id, make_labels
from obs.model.schema import LABELS, SAMPLES, SERIES
from obs.tsdb.selection import FIRST_MS, LAST_MS
from obs.tsdb.store import MetricStore

SERIES_COUNT = 500
ROUNDS = 6
NOW_MS = time.time_ns() // 1_000_000
FLEET = [make_labels({"__name__": f"metric_{i % 5}", "i": str(i)}) for i in range(SERIES_COUNT)]
IDS = np.array([labels_id(each) for each in FLEET], np.uint64)
OPTIONS = EngineOptions(flush_rows=15_000, compact_interval_s=0.2)


def batch_of(number: int, with_labels: bool) -> Batch:
    """One scrape, whose time is the batch's number."""
    values = np.arange(SERIES_COUNT) / 4 + number
    samples = pa.record_batch([IDS, np.full(SERIES_COUNT, number), values], schema=SAMPLES)
    if not with_labels:
        return Batch(Signal.METRICS, {"samples": samples})
    labels = pa.array([list(each) for each in FLEET], LABELS)
    return Batch(
        Signal.METRICS, {"samples": samples, "series": pa.record_batch([pa.array(IDS), labels], schema=SERIES)}
    )


def load(folder: Path, first: int) -> None:
    """Append from three threads until killed; each number goes to stdout once it is acknowledged."""
    store = MetricStore(folder, OPTIONS)
    store.open()
    store.consume(batch_of(first, with_labels=True))
    os.write(1, b"%d\n" % first)
    numbers = iter(range(first + 1, 1 << 60))
    lock = threading.Lock()

    def run() -> None:
        while True:
            with lock:
                number = next(numbers)
            store.consume(batch_of(number, with_labels=False))
            os.write(1, b"%d\n" % number)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def killed_run(folder: Path, first: int, acks: int) -> list[int]:
    """What a child acknowledged until it was killed, a little after `acks` of them."""
    child = subprocess.Popen([sys.executable, __file__, str(folder), str(first)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(acks)]
    child.send_signal(signal.SIGKILL)
    lines += child.stdout.read().splitlines(keepends=True)
    child.wait(30)
    child.stdout.close()
    return [int(line) for line in lines if line.endswith(b"\n")]


def test_kill_nine(tmp_path: Path) -> None:
    rng = random.Random(4)
    acked: list[int] = []
    for round_number in range(ROUNDS):
        first = NOW_MS + round_number * 1_000_000
        acked += killed_run(tmp_path / "metrics", first, rng.randrange(20, 200))
    store = MetricStore(tmp_path / "metrics", OPTIONS)
    store.open()
    assert store.engine.wait_recovered(60)
    found = store.select([], FIRST_MS, LAST_MS)
    assert store.engine.counters.quarantined == 0
    store.close()
    assert list(found.labels) == sorted(FLEET)
    times = found.t_ms[: found.offsets[1]]
    assert np.isin(acked, times).all(), "acknowledged samples are lost"
    assert 0 <= len(times) - len(acked) <= ROUNDS * 3, "only what was on its way may be there beyond those"
    for k, labels in enumerate(found.labels):
        span = slice(found.offsets[k], found.offsets[k + 1])
        assert np.array_equal(found.t_ms[span], times)
        assert np.array_equal(found.values[span], times + FLEET.index(labels) / 4)


def test_reading_while_writing(tmp_path: Path) -> None:
    """Every selection during a load with flushes and merges sees whole scrapes, and all that was acknowledged."""
    store = MetricStore(tmp_path / "metrics", OPTIONS)
    store.open()
    store.consume(batch_of(NOW_MS, with_labels=True))
    acked = NOW_MS

    def write() -> None:
        nonlocal acked
        for number in range(NOW_MS + 1, NOW_MS + 400):
            store.consume(batch_of(number, with_labels=False))
            acked = number

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        known = acked
        found = store.select([], FIRST_MS, LAST_MS)
        sizes = np.diff(found.offsets)
        assert len(sizes) == SERIES_COUNT
        assert (sizes == sizes[0]).all()
        assert found.t_ms[found.offsets[1] - 1] >= known
        assert sizes[0] == found.t_ms[found.offsets[1] - 1] - NOW_MS + 1
    writer.join()
    store.flush()  # what is frozen may still wait for its turn
    assert store.engine.counters.flushes > 3
    store.close()


if __name__ == "__main__":
    load(Path(sys.argv[1]), int(sys.argv[2]))
