"""Every store as one that keeps numbered batches, so that a single contract can hold for all of them.

Run as a program it loads a store from three threads until it is killed: `numbered_stores.py KIND FOLDER FIRST`; each
number goes to standard output once it is acknowledged.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from log_recipes import Record, logs_batch
from span_batches import SpanRow, spans_batch, trace_id

from obs.columnar.engine import Engine
from obs.columnar.example import KeyValueLayout, read_values, values_batch
from obs.columnar.options import EngineOptions
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore
from obs.model.build import metrics_batch
from obs.model.labels import make_labels
from obs.tracestore.query import TraceQuery
from obs.tracestore.store import TraceStore
from obs.tsdb.limits import FIRST_MS, LAST_MS
from obs.tsdb.store import MetricStore

ROWS = 20
"""Rows of a batch."""

S = 10**9
DAY = 86_400 * S
NOW = 20_500 * DAY + DAY // 3


class NumberedStore(ABC):
    """One store over a folder. `store` is what a Store is to the app, `engine` what keeps its files."""

    store: Any
    engine: Engine

    @abstractmethod
    def __init__(self, folder: Path, options: EngineOptions) -> None:
        """Not opened yet."""

    @abstractmethod
    def put(self, number: int) -> None:
        """Take a batch of ROWS rows; when this returns it is durable."""

    @abstractmethod
    def rows(self) -> Iterator[tuple[int, int]]:
        """(number, row of the batch) of all that is found by the store's own reading."""

    def numbers(self) -> list[int]:
        """The batches that are there, rising: each whole, no row of them twice."""
        counts = Counter(self.rows())
        assert not [row for row, n in counts.items() if n > 1], f"rows twice: {counts.most_common(3)}"
        found = Counter(number for number, _ in counts)
        assert not [number for number, n in found.items() if n != ROWS], "a part of a batch"
        return sorted(found)


class Values(NumberedStore):
    """The engine alone, under its smallest layout."""

    def __init__(self, folder: Path, options: EngineOptions) -> None:
        self.store = self.engine = Engine(KeyValueLayout(), folder, options)

    def put(self, number: int) -> None:
        """Rows over two days, so that each flush makes two blocks."""
        keys = range(number * ROWS, (number + 1) * ROWS)
        self.engine.append({"values": values_batch([(key, NOW - key % 2 * DAY, number) for key in keys])})

    def rows(self) -> Iterator[tuple[int, int]]:
        """From a view; a value other than its batch's number is a row of no batch."""
        with self.engine.view() as view:
            for (key, _), value in read_values(view).items():
                assert key // ROWS == value
                yield value, key % ROWS


class Metrics(NumberedStore):
    """Samples of ROWS series at a millisecond of their own."""

    fleet = tuple(make_labels({"__name__": f"metric_{i % 5}", "i": str(i)}) for i in range(ROWS))

    def __init__(self, folder: Path, options: EngineOptions) -> None:
        self.store = MetricStore(folder, options)
        self.engine = self.store.engine

    def put(self, number: int) -> None:
        """One scrape, whose time tells the number, and each value too."""
        t_ms = NOW // 10**6 + number
        self.store.consume(metrics_batch((labels, t_ms, number + i / 32) for i, labels in enumerate(self.fleet)))

    def rows(self) -> Iterator[tuple[int, int]]:
        """From a selection of everything."""
        found = self.store.select([], FIRST_MS, LAST_MS)
        for k, labels in enumerate(found.labels):
            i = self.fleet.index(labels)
            span = slice(found.offsets[k], found.offsets[k + 1])
            for t_ms, value in zip(found.t_ms[span].tolist(), found.values[span].tolist(), strict=True):
                number = t_ms - NOW // 10**6
                assert value == number + i / 32
                yield number, i


class Logs(NumberedStore):
    """Records of two services over two days."""

    def __init__(self, folder: Path, options: EngineOptions) -> None:
        self.store = LogStore(folder, options)
        self.engine = self.store.engine
        self._logql = LogQL(self.store)

    def put(self, number: int) -> None:
        """Number and row stand in the text."""
        self.store.consume(
            logs_batch(
                Record(NOW - i % 2 * DAY + number, f"{number} {i}", {"service.name": f"s{i % 2}"}, {"n": number})
                for i in range(ROWS)
            )
        )

    def rows(self) -> Iterator[tuple[int, int]]:
        """From the records of all streams."""
        for entry in self._logql.records("{}", NOW - 2 * DAY, NOW + DAY, 50_000).entries:
            number, i = entry.line.split()
            yield int(number), int(i)


class Traces(NumberedStore):
    """A trace of ROWS spans, every other one on the day before."""

    def __init__(self, folder: Path, options: EngineOptions) -> None:
        self.store = TraceStore(folder, options)
        self.engine = self.store.engine

    def put(self, number: int) -> None:
        """The trace's id tells the number."""
        start = NOW - number % 2 * DAY + number
        spans = (SpanRow(number + 1, i + 1, i, start=start + i, end=start + ROWS, name=f"n{i}") for i in range(ROWS))
        self.store.consume(spans_batch(*spans))

    def rows(self) -> Iterator[tuple[int, int]]:
        """Each trace that a search finds, read by its id."""
        for hit in self.store.search(TraceQuery(limit=10_000)).traces:
            number = int.from_bytes(hit.trace_id, "big") - 1
            found = self.store.by_id(trace_id(number + 1))
            ids = found.table.column("span_id").to_pylist()
            assert hit.spans == len(ids)
            yield from ((number, int.from_bytes(span, "big") - 1) for span in ids)


KINDS: dict[str, type[NumberedStore]] = {kind.__name__: kind for kind in (Values, Metrics, Logs, Traces)}
BUSY = EngineOptions(flush_rows=30 * ROWS, compact_interval_s=0.2)
"""Flushes and merges all the time."""


def load(kind: str, folder: Path, first: int) -> None:
    """Put batches from three threads for ever."""
    store = KINDS[kind](folder, BUSY)
    store.store.open()
    numbers, lock = iter(range(first, 1 << 40)), threading.Lock()

    def run() -> None:
        while True:
            with lock:
                number = next(numbers)
            store.put(number)
            os.write(1, b"%d\n" % number)

    for thread in [threading.Thread(target=run) for _ in range(3)]:
        thread.start()


def killed_load(kind: str, folder: Path, first: int, acks: int) -> list[int]:
    """What a child that loads a store acknowledged until SIGKILL, which comes a little after `acks` of them."""
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    argv = [sys.executable, __file__, kind, str(folder), str(first)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=paths) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(acks)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines(keepends=True)
    return [int(line) for line in lines if line.endswith(b"\n")]


if __name__ == "__main__":
    load(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
