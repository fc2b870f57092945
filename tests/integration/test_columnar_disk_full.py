"""A disk that is really full: the kernel refuses to let any file grow past a limit, first the WAL, then blocks."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from obs.columnar.engine import Engine
from obs.columnar.example import VALUES, KeyValueLayout
from obs.columnar.options import EngineOptions
from obs.errors import StorageFull

ROWS = 1000
OPTIONS = EngineOptions(compact_interval_s=3600.0)


def batch_of(number: int) -> pa.RecordBatch:
    keys = np.arange(number * ROWS, (number + 1) * ROWS)
    return pa.record_batch([pa.array(keys), pa.array(keys), pa.array(keys)], schema=VALUES)


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def fill(folder: Path) -> None:
    """Append to the limit; flush with a limit that no block fits; lift it and append again."""
    engine = Engine(KeyValueLayout(), folder, OPTIONS)
    engine.open()
    limit_files(400_000)
    stored, refused = [], 0
    for number in range(40):
        try:
            engine.append({"values": batch_of(number)})
            stored.append(number)
        except StorageFull:
            refused += 1
    assert stored and refused, (stored, refused)
    limit_files(4_000)
    try:
        engine.flush()
        raise AssertionError("the flush had room")
    except StorageFull:
        pass
    limit_files(resource.RLIM_INFINITY)
    for number in range(40, 45):
        engine.append({"values": batch_of(number)})
        stored.append(number)
    engine.flush()
    engine.append({"values": batch_of(45)})
    print(*stored, 45)
    engine.close()


def test_nothing_stored_is_lost_on_a_full_disk(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = (np.array([int(n) for n in done.stdout.split()])[:, None] * ROWS + np.arange(ROWS)).ravel()
    engine = Engine(KeyValueLayout(), tmp_path, OPTIONS)
    engine.open()
    assert engine.wait_recovered(30)
    with engine.view() as view:
        tables = [*(block.read("values") for block in view.blocks), view.head("values")]
        assert np.array_equal(np.sort(np.concatenate([t["key"].to_numpy() for t in tables])), expected)
    assert engine.counters.quarantined == 0
    engine.close()


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
