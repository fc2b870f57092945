"""`kill -9` in the middle of a load, ten times at random moments: every acknowledged row is there exactly once."""

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
import pytest

from obs.columnar.engine import Engine
from obs.columnar.example import VALUES, KeyValueLayout
from obs.columnar.options import EngineOptions

ROWS = 500
ROUNDS = 10
OPTIONS = EngineOptions(flush_rows=15_000, compact_interval_s=0.2)


def batch_of(number: int) -> pa.RecordBatch:
    keys = np.arange(number * ROWS, (number + 1) * ROWS)
    times = np.full(ROWS, time.time_ns()) - (keys % 2) * 86_400_000_000_000
    return pa.record_batch([pa.array(keys), pa.array(times), pa.array(keys * 3)], schema=VALUES)


def load(folder: Path, first: int) -> None:
    """Append from three threads until killed; each number goes to stdout once it is acknowledged."""
    engine = Engine(KeyValueLayout(), folder, OPTIONS)
    engine.open()
    numbers = iter(range(first, 1 << 40))
    lock = threading.Lock()

    def run() -> None:
        while True:
            with lock:
                number = next(numbers)
            engine.append({"values": batch_of(number)})
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


@pytest.mark.slow
def test_kill_nine(tmp_path: Path) -> None:
    rng = random.Random(9)
    acked: list[int] = []
    for round_number in range(ROUNDS):
        acked += killed_run(tmp_path / "data", round_number * 1_000_000, rng.randrange(20, 200))
    engine = Engine(KeyValueLayout(), tmp_path / "data", OPTIONS)
    engine.open()
    assert engine.wait_recovered(60)
    with engine.view() as view:
        tables = [*(block.read("values", columns=["key"]) for block in view.blocks), view.head("values")]
        keys = np.sort(np.concatenate([t["key"].to_numpy() for t in tables if t.num_rows]))
    assert engine.counters.quarantined == 0
    engine.close()
    assert len(np.unique(keys)) == len(keys), "rows twice"
    expected = (np.array(acked)[:, None] * ROWS + np.arange(ROWS)).ravel()
    assert np.isin(expected, keys).all(), "acknowledged rows are lost"
    extra = len(keys) - len(expected)
    assert 0 <= extra <= ROUNDS * 3 * ROWS and extra % ROWS == 0, "only whole appends may be there beyond those"


if __name__ == "__main__":
    load(Path(sys.argv[1]), int(sys.argv[2]))
