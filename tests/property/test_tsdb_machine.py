"""The metric store against a dict, every step exactly: appends in any order, deletes, merges, retention, crashes.

The long run: `OBS_PROPERTY_TIMES=100 pytest tests/property/test_tsdb_machine.py`.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
from examples import examples
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from metric_rows import Exemplar, Held, Value, bits, held, mixed_batch

from obs import warm
from obs.columnar.filenames import segment_path
from obs.columnar.options import EngineOptions
from obs.model.labels import Labels, Matcher, MatchOp, make_labels
from obs.model.stale import STALE
from obs.sql.engine import SqlEngine
from obs.tsdb.compiled import KERNELS
from obs.tsdb.limits import StoreLimits
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.store import MetricStore

DAY = 86_400_000
NOW = 1_790_000_000_000
LEAST, GREATEST = -(1 << 63), (1 << 63) - 1
NEAR = [NOW + k for k in range(6)]
TIMES = [*NEAR, NOW - DAY, NOW - 40 * DAY, NOW - 4000 * DAY, NOW + 3 * DAY, 0, LEAST, GREATEST]
FLEET = [make_labels({"__name__": f"m{i % 3}", "i": str(i)}) for i in range(6)]
VALUES: list[Value] = [0.0, -0.0, 1.0, 2.5, 1 / 3, STALE, float("inf"), 5e-324, 1e300, 12.75, 2.0**60]
HISTOGRAMS: list[Value] = [
    Histogram(schema=s, count=21.0 + s, sum=k, zero_count=1.0, positive={-1: 2.0, 3: 18.0 + s})
    for s in (0, 2)
    for k in (1, 2)
]
KEPT_DAYS = 30

samples = st.lists(
    st.tuples(st.sampled_from(FLEET), st.sampled_from(TIMES), st.sampled_from(VALUES + HISTOGRAMS)),
    min_size=1,
    max_size=15,
)
exemplars = st.lists(
    st.tuples(st.sampled_from(FLEET[:3]), st.sampled_from(NEAR), st.sampled_from([0.5, 7.0]), st.sampled_from("ab")),
    max_size=2,
)
matchers = st.lists(
    st.builds(
        Matcher,
        st.sampled_from(["__name__", "i", "absent"]),
        st.sampled_from(list(MatchOp)),
        st.sampled_from(["", "m0", "m1", "m[02]", "1", "[0-3]", ".+", "x|.*"]),
    ),
    max_size=2,
)
bounds = st.tuples(st.sampled_from(TIMES), st.sampled_from(TIMES)).map(sorted)
ranges = st.one_of(st.just([LEAST, GREATEST]), bounds)


class ManualClock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.ms = NOW

    def now_ns(self) -> int:
        return self.ms * 1_000_000


RUNS = itertools.count()
"""Each run of a machine counts its lives from a thousand of its own: their folders stand side by side."""


@cache
def workplace() -> tuple[Path, list[MetricStore], SqlEngine]:
    """A folder for the data of all runs, and SQL over the stores in the list: its process is started once."""
    base, sources = Path(tempfile.mkdtemp(prefix="tsdb-")), list[MetricStore]()
    sql = SqlEngine(sources, base, 1 << 28, 30.0)
    atexit.register(shutil.rmtree, base)
    atexit.register(sql.close)
    return base, sources, sql


def chosen(labels: Labels, wanted: list[Matcher]) -> bool:
    return all(m.matches(dict(labels).get(m.name, "")) for m in wanted)


class StoreMachine(RuleBasedStateMachine):
    """The model is what was acknowledged and not deleted; of what is past retention the store may keep any part."""

    compiled = True

    def __init__(self) -> None:
        super().__init__()
        if self.compiled:
            warm.load_now(KERNELS)
        else:
            warm._state.ready.discard(KERNELS)
        self.base, self.sql_sources, self.sql = workplace()
        self.clock = ManualClock()
        self.rows: Held = {}
        self.exemplars: set[Exemplar] = set()
        self.lives = 1000 * next(RUNS)

    @initialize(retention=st.booleans())
    def begin(self, retention: bool) -> None:
        age_s = KEPT_DAYS * DAY / 1000 if retention else None
        self.options = EngineOptions(
            flush_rows=30, compact_interval_s=3600.0, fsync_interval_s=3600.0, retention_age_s=age_s
        )
        self.open()

    @property
    def folder(self) -> Path:
        return self.base / str(self.lives)

    def open(self) -> None:
        self.store = self.opened(self.folder)
        self.unsynced: list[tuple[int, int, Held, set[Exemplar]]] = []

    def opened(self, folder: Path) -> MetricStore:
        store = MetricStore(folder, self.options, self.clock, StoreLimits(cache_bytes=2_000))
        store.open()
        assert store.engine.wait_recovered(30)
        return store

    # --- writing ---

    @rule(rows=samples, traces=exemplars)
    def append(self, rows: list[tuple[Labels, int, Value]], traces: list[Exemplar]) -> None:
        before = self.rows.copy(), self.exemplars.copy()
        segment = self.store.engine._appender._segment
        assert segment is not None
        self.unsynced = [
            *(s for s in self.unsynced if s[0] == segment.generation),
            (segment.generation, segment.size, *before),
        ]
        self.store.consume(mixed_batch(rows, traces))
        self.rows |= {(labels, t): bits(v) for labels, t, v in rows}
        self.exemplars |= set(traces)

    @rule(wanted=matchers, within=ranges)
    def delete(self, wanted: list[Matcher], within: list[int]) -> None:
        self.store.delete([wanted], *within)
        self.forget(wanted, within)

    def forget(self, wanted: list[Matcher], within: list[int]) -> None:
        def gone(labels: Labels, t: int) -> bool:
            return within[0] <= t <= within[1] and chosen(labels, wanted)

        self.rows = {key: value for key, value in self.rows.items() if not gone(*key)}
        self.exemplars = {e for e in self.exemplars if not gone(e[0], e[1])}

    # --- moving ---

    @rule()
    def flush(self) -> None:
        self.store.flush()

    @rule()
    def merge(self) -> None:
        self.store.engine.compact()

    @rule()
    def clean(self) -> None:
        self.store.clean()
        assert not self.tombstones(self.folder)
        with self.store.view() as view:
            assert not any(block.tombstones for block in view.blocks)

    @rule(days=st.sampled_from([1, 17, 25]))
    def pass_time(self, days: int) -> None:
        self.clock.ms += days * DAY

    @rule()
    def retain(self) -> None:
        self.store.engine.retain()

    # --- ends and beginnings ---

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.open()

    @rule()
    def open_a_snapshot(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.store.engine.snapshot(Path(folder) / "copy")
            copy = self.opened(Path(folder) / "copy")
            self.compare(copy)
            copy.close()

    @rule(job=st.sampled_from(["none", "flush", "merge", "clean", "retain", "reopen"]), step=st.integers(0, 9))
    def crash(self, job: str, step: int) -> None:
        """A copy of the folder before some step on the disk is what a crash leaves: no close, no sync."""
        with self.copied_at(step):
            if job != "none":
                getattr(self, job)()
        self.go_on_with_the_copy()

    @rule(wanted=matchers, within=ranges, step=st.integers(0, 3))
    def crash_in_a_delete(self, wanted: list[Matcher], within: list[int], step: int) -> None:
        """Nobody was told that it is done, so it may be or not be."""
        undone, known = (self.rows, self.exemplars), self.tombstones(self.folder)
        with self.copied_at(step) as copied:
            self.delete(wanted=wanted, within=within)
        if copied and self.tombstones(self.base / str(self.lives + 1)) <= known:
            self.rows, self.exemplars = undone
        self.go_on_with_the_copy()

    @precondition(lambda self: getattr(self, "unsynced", None))
    @rule(data=st.data())
    def power_cut(self, data: st.DataObject) -> None:
        """The end of the WAL that was not synced is lost, and the appends in it."""
        segment = self.store.engine._appender._segment
        assert segment is not None
        lost = [s for s in self.unsynced if s[0] == segment.generation and s[1] >= segment._synced]
        if not lost:
            return
        at = data.draw(st.integers(0, len(lost) - 1))
        ends = [*(size for _, size, _, _ in lost[1:]), segment.size]
        size = data.draw(st.integers(lost[at][1], ends[at] - 1))
        self.copy()
        os.truncate(segment_path(self.base / str(self.lives + 1), segment.generation), size)
        self.rows, self.exemplars = lost[at][2:]
        self.go_on_with_the_copy()

    def tombstones(self, folder: Path) -> set[str]:
        return {path.name for path in (folder / "tombstones").iterdir()}

    def copy(self) -> None:
        with self.store.engine._state.merging, self.store.engine._flusher._lock:
            shutil.copytree(self.folder, self.base / str(self.lives + 1))

    def go_on_with_the_copy(self) -> None:
        if not (self.base / str(self.lives + 1)).exists():
            self.copy()
        self.store.close()
        self.lives += 1
        self.open()

    @contextmanager
    def copied_at(self, step: int) -> Iterator[list[int]]:
        """Copy the folder before the step-th change of names in it; the list says whether that was reached."""
        folder, target, seen, copied = self.folder, self.base / str(self.lives + 1), [0], list[int]()
        names, gate = ("rename", "unlink"), threading.RLock()
        originals: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in names}

        def counted(name: str) -> Callable[..., Any]:
            def change(path: Any, *args: Any, **options: Any) -> Any:
                with gate:  # no other thread changes names while the copy is made
                    if str(path).startswith(f"{folder}/"):
                        if seen[0] == step:
                            shutil.copytree(folder, target)
                            copied.append(step)
                        seen[0] += 1
                    return originals[name](path, *args, **options)

            return change

        for name in names:
            setattr(os, name, counted(name))
        try:
            yield copied
        finally:
            with gate:
                for name in names:
                    setattr(os, name, originals[name])

    # --- reading ---

    @rule(wanted=matchers, within=ranges)
    def select_some(self, wanted: list[Matcher], within: list[int]) -> None:
        expected = {
            key: value
            for key, value in self.rows.items()
            if within[0] <= key[1] <= within[1] and chosen(key[0], wanted)
        }
        self.same(self.selected(self.store, wanted, *within), expected)

    @rule()
    def ask_sql(self) -> None:
        """Rows that were written again may be there twice until their blocks are merged."""
        self.sql_sources[:] = [self.store]
        rows = self.sql.query("SELECT DISTINCT labels, t_ms FROM metrics").to_pylist()
        self.same_keys({(make_labels(dict(r["labels"])), r["t_ms"]) for r in rows}, set(self.rows))
        series = self.sql.query("SELECT labels FROM series").to_pylist()
        self.same_series({make_labels(dict(r["labels"])) for r in series})

    @invariant()
    def same_as_the_model(self) -> None:
        if hasattr(self, "store"):
            self.compare(self.store)

    def compare(self, store: MetricStore) -> None:
        self.same(self.selected(store, [], LEAST, GREATEST), self.rows)
        found = store.exemplars([], LEAST, GREATEST)
        seen = {(labels, e.t_ms, e.value, dict(e.labels)["trace_id"]) for labels, each in found for e in each}
        assert seen <= self.exemplars
        assert {e for e in seen if self.kept(e[1])} == {e for e in self.exemplars if self.kept(e[1])}
        self.same_series(set(store.series([])), exemplars_too=False)

    def kept(self, t_ms: int) -> bool:
        """Whether retention, which also runs in the background, leaves a row of this time alone."""
        return self.options.retention_age_s is None or t_ms >= self.clock.ms - KEPT_DAYS * DAY

    def same(self, seen: Held, expected: Held) -> None:
        self.same_keys(set(seen), set(expected))
        wrong = {key for key, value in seen.items() if self.kept(key[1]) and value != expected[key]}
        assert not wrong, f"not what was last written: {wrong}"

    def same_keys(self, seen: set[tuple[Labels, int]], expected: set[tuple[Labels, int]]) -> None:
        assert seen <= expected, f"too much: {seen - expected}"
        lost = {key for key in expected - seen if self.kept(key[1])}
        assert not lost, f"lost: {lost}"

    def same_series(self, seen: set[Labels], exemplars_too: bool = True) -> None:
        with_exemplars = {labels for labels, *_ in self.exemplars}
        assert seen <= {labels for labels, _ in self.rows} | with_exemplars
        needed = {labels for labels, t in self.rows if self.kept(t)}
        assert needed <= seen

    def selected(self, store: MetricStore, wanted: list[Matcher], start: int, end: int) -> Held:
        found = store.select(wanted, start, end)
        assert list(found.labels) == sorted(set(found.labels)), "series are not sorted"
        assert (np.diff(found.offsets) > 0).all(), "a series without samples"
        for first, stop in zip(found.offsets[:-1], found.offsets[1:], strict=True):
            assert (np.diff(found.t_ms[first:stop].astype(object)) > 0).all(), "times do not rise"
        return held(found)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            counters = self.store.engine.counters
            assert (counters.quarantined, counters.flush_failures) == (0, 0)
        for folder in self.base.iterdir():
            shutil.rmtree(folder)


class PlainStoreMachine(StoreMachine):
    """The same while the kernels are not compiled."""

    compiled = False


TestMetricStore = StoreMachine.TestCase
TestMetricStore.settings = examples(15, stateful_step_count=25)
TestMetricStoreUncompiled = PlainStoreMachine.TestCase
TestMetricStoreUncompiled.settings = examples(8, stateful_step_count=25)
