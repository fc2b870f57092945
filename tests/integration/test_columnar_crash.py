"""The process ends at every step that touches the disk, one after the other; what was acknowledged is there once.

A driver process forks a child for each step number n: an audit hook and wrapped writes count the steps and end the
child, without any clean-up, at the n-th. A second child dies while it recovers; the last one opens and counts.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import shutil
import struct
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from obs.columnar.engine import Engine
from obs.columnar.erasing import block_tables
from obs.columnar.example import KeyValueLayout, read_values, values_batch
from obs.columnar.options import EngineOptions

DAY = 86_400_000_000_000
NOW = time.time_ns() // DAY * DAY + DAY // 2
ROWS = 20
OPTIONS = EngineOptions(flush_rows=10_000, fsync="always", compact_interval_s=3600.0)
CRASHED = 9
EVENTS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "open", "shutil.rmtree"}


class Steps:
    """Counts what touches the disk, from any thread, and ends the process at step `at`."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0
        sys.addaudithook(self._event)
        for name in ("fsync", "fdatasync", "ftruncate"):
            setattr(os, name, self._counted(getattr(os, name)))
        self._write = os.write
        os.write = self._torn_write  # type: ignore[assignment]

    def _event(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and not (event == "open" and _only_reads(arguments)):
            self._step()

    def _step(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            os._exit(CRASHED)

    def _counted(self, call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object) -> object:
            self._step()
            return call(*arguments)

        return wrapped

    def _torn_write(self, fd: int, data: bytes) -> int:
        self.seen += 1
        if self.seen == self.at:
            self._write(fd, bytes(data)[: len(data) // 2])
            os._exit(CRASHED)
        return self._write(fd, data)


def _only_reads(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)


def open_engine(folder: Path) -> Engine:
    engine = Engine(KeyValueLayout(), folder, OPTIONS)
    engine.open()
    assert engine.wait_recovered(30)
    return engine


def rows_of(number: int) -> list[tuple[int, int, int]]:
    """Append `number`'s rows: keys of its own, over two days, so that each flush makes several blocks."""
    return [(number * ROWS + i, NOW - (i % 2) * DAY, number) for i in range(ROWS)]


DELETES = {3: 0, 5: 4}
"""After which append the keys of which one are deleted: once from blocks, once from the head."""


def after(steps: int) -> set[int]:
    """The keys that are there after so many of the appends and deletes."""
    keys: set[int] = set()
    for number in range(6):
        for add, of in [(True, number), *((False, d) for n, d in DELETES.items() if n == number)]:
            if steps:
                steps -= 1
                keys = (
                    keys.union(k for k, _, _ in rows_of(of)) if add else keys.difference(k for k, _, _ in rows_of(of))
                )
    return keys


def work(folder: Path, acked: mmap.mmap) -> None:
    """Appends, deletes, flushes, a merge and a clean; acknowledged steps are counted in shared memory at once."""
    engine = open_engine(folder)
    done = 0
    for number in range(6):
        engine.append({"values": values_batch(rows_of(number))})
        acked[:8] = struct.pack("<Q", done := done + 1)
        if number % 2 and number < 5:
            engine.flush()
        if number in DELETES:
            engine.delete(orjson.dumps([k for k, _, _ in rows_of(DELETES[number])]), 0, NOW + DAY)
            acked[:8] = struct.pack("<Q", done := done + 1)
        if number == 3:
            engine.compact()
    engine.clean()
    engine.close()


def check(folder: Path, acked: int) -> None:
    """Every acknowledged row once and nothing that was deleted; the step that was under way is whole or not there."""
    engine = open_engine(folder)
    with engine.view() as view:
        tables = [*(block_tables(KeyValueLayout(), block)["values"] for block in view.blocks), view.head("values")]
        counts = Counter(key for table in tables if table.num_rows for key in table["key"].to_pylist())
    assert not [key for key, n in counts.items() if n > 1], f"rows twice: {counts.most_common(3)}"
    assert set(counts) in (after(acked), after(acked + 1)), "an acknowledged step is lost, or half of one is there"
    assert engine.counters.quarantined == 0
    engine.append({"values": values_batch([(1_000_000, NOW, 1)])})
    engine.flush()
    engine.compact()
    engine.clean()
    with engine.view() as view:
        assert len(read_values(view)) == len(counts) + 1
        assert {str(b.folder) for b in view.blocks} == {str(p) for p in (folder / "blocks").iterdir()}
    engine.close()
    left = [p for name in ("ready", "tmp", "quarantine", "tombstones") for p in (folder / name).iterdir()]
    assert not left, f"left behind: {left}"


def in_child(job: Callable[[], None]) -> int:
    """Run `job` in a fork of this thread-less process; returns its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            job()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def drive(base: Path, part: int, parts: int) -> int:
    """All steps n with n % parts == part; returns how many were tried. Stops where the work ends before step n."""
    rng = random.Random(part)
    for tried, at in enumerate(range(part + 1, 10_000, parts)):
        folder, acked = base / str(at), mmap.mmap(-1, 8)

        def crash_at(step: int, job: Callable[[], None]) -> Callable[[], None]:
            return lambda: (Steps(step), job())[1]

        status = in_child(crash_at(at, lambda: work(folder, acked)))  # noqa: B023
        if status == 0:
            return tried
        assert status == CRASHED, f"step {at}: the child failed with {status}"
        if (folder / "tmp").exists():
            again = in_child(crash_at(rng.randrange(1, 40), lambda: open_engine(folder).close()))  # noqa: B023
            assert again in (0, CRASHED), f"step {at}: recovery failed with {again}"
        count = struct.unpack("<Q", acked[:8])[0]
        assert in_child(lambda: check(folder, count)) == 0, f"step {at}: see above; {folder} is kept"  # noqa: B023
        shutil.rmtree(folder)
    raise AssertionError("the work never ends")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_every_step(tmp_path: Path, part: int) -> None:
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path), str(part), "2"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout)["tried"] > 50


if __name__ == "__main__":
    print(json.dumps({"tried": drive(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))}))
