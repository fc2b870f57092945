"""How much of a core does the engine need for a given stream of small batches? Prints one table.

Two threads append at a fixed rate to a real folder. "append" holds everything in the head; "with flush" also
writes blocks (a layout that sorts by one column). Run: python bench/bench_columnar.py [--seconds 8]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from obs.columnar.engine import Engine
from obs.columnar.layout import BlockWriter, TableLayout
from obs.columnar.options import EngineOptions


class SortedLayout:
    """One table, sorted by one column: what any store does at least."""

    def __init__(self, table: str, time_column: str, sort_by: str) -> None:
        self.name = table
        self.tables = (TableLayout(table, time_column),)
        self._sort_by = sort_by

    def write_block(self, tables: Mapping[str, pa.Table], out: BlockWriter) -> Mapping[str, Any]:
        rows = tables[self.name]
        out.parquet(self.name, rows.take(pa.compute.sort_indices(rows.column(self._sort_by))))
        return {}

    def on_append(self, generation: int, tables: Mapping[str, pa.RecordBatch]) -> Mapping[str, pa.RecordBatch]:
        return tables

    def on_replay(self, tables: Mapping[str, pa.RecordBatch]) -> None: ...


def samples(rows: int) -> pa.RecordBatch:
    rng = np.random.default_rng(1)
    now = time.time_ns()
    return pa.record_batch(
        {
            "series_id": rng.integers(0, 1 << 62, rows).astype(np.uint64),
            "t_ns": now + np.arange(rows),
            "value": rng.random(rows),
        }
    )


def records(rows: int) -> pa.RecordBatch:
    """35 columns: ids, times, dictionaries, text and sparse numbers, as log records have them."""
    rng = np.random.default_rng(2)
    columns: dict[str, Any] = {
        "t_ns": time.time_ns() + np.arange(rows),
        "severity": rng.integers(0, 24, rows, np.uint8),
    }
    columns["body"] = pa.array([f"GET /cart/{i} took {i % 97} ms for user {i * 7919 % 5003}" for i in range(rows)])
    columns["trace_id"] = pa.array([rng.bytes(16) for _ in range(rows)], pa.binary(16))
    for i in range(11):
        columns[f"resource.{i}:str"] = pa.array([f"value {i} {r // 500}" for r in range(rows)]).dictionary_encode()
    for i in range(10):
        columns[f"attr.{i}:str"] = pa.array([f"text {i} {r % 31}" if r % (i + 1) == 0 else None for r in range(rows)])
    for i in range(10):
        columns[f"attr.{i}:int"] = pa.array([r if r % (i + 1) == 0 else None for r in range(rows)], pa.int64())
    return pa.record_batch(columns)


@dataclass(frozen=True)
class Case:
    name: str
    table: str
    sort_by: str
    make: Callable[[int], pa.RecordBatch]
    batch_rows: int
    rate: int


CASES = (
    Case("samples, 3 columns", "samples", "series_id", samples, 1_000, 400_000),
    Case("records, 35 columns", "logs", "t_ns", records, 2_000, 150_000),
)


def drive(engine: Engine, case: Case, seconds: float, threads: int) -> tuple[int, float]:
    """Append at the case's rate; returns the rows taken and the seconds they took."""
    batch = case.make(case.batch_rows)
    interval = case.batch_rows * threads / case.rate
    counts = [0] * threads
    began = time.perf_counter()

    def run(worker: int) -> None:
        while (now := time.perf_counter()) < began + seconds:
            due = began + counts[worker] * interval
            if due > now:
                time.sleep(due - now)
            engine.append({case.table: batch})
            counts[worker] += 1

    workers = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) * case.batch_rows, time.perf_counter() - began


def measure(case: Case, seconds: float, *, flush: bool, rate: int) -> str:
    never = 1 << 60
    options = EngineOptions() if flush else EngineOptions(flush_rows=never, flush_bytes=never, memory_limit_bytes=never)
    case = Case(case.name, case.table, case.sort_by, case.make, case.batch_rows, rate)
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(SortedLayout(case.table, "t_ns", case.sort_by), Path(folder) / "data", options)
        engine.open()
        before = resource.getrusage(resource.RUSAGE_SELF)
        rows, took = drive(engine, case, seconds, threads=2)
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        counters = engine.counters
        line = (
            f"{case.name:22}{'with flush' if flush else 'append':12}{rows / took:>12,.0f}{cpu / took:>8.2f}"
            f"{counters.wal_bytes / took / 1e6:>9.0f}{counters.appends / max(1, counters.wal_frames):>8.2f}"
            f"{counters.flushes:>8}{counters.compactions:>9}{after.ru_maxrss / 1024:>9,.0f}"
        )
        engine.close()
    return line


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=8.0)
    seconds = arguments.parse_args().seconds
    titles = ("rows/s", 12), ("cores", 8), ("WAL MB/s", 9), ("joined", 8), ("flushes", 8), ("merges", 9), ("RSS MB", 9)
    print(f"{'case':34}" + "".join(f"{title:>{width}}" for title, width in titles))
    for case in CASES:
        for flush in (False, True):
            print(measure(case, seconds, flush=flush, rate=case.rate))
        print(measure(case, min(seconds, 3.0), flush=False, rate=1 << 40), " (as fast as it can)")


if __name__ == "__main__":
    main()
