"""The metric store against a dict: append, flush, compact, crash, reopen; every selection, the last written wins."""

from __future__ import annotations

import shutil
import struct
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from obs import warm
from obs.columnar.options import EngineOptions
from obs.model.build import metrics_batch
from obs.model.labels import Labels, Matcher, MatchOp, make_labels
from obs.tsdb.compiled import KERNELS
from obs.tsdb.limits import StoreLimits
from obs.tsdb.store import MetricStore

DAY = 86_400_000
NOW = 1_790_000_000_000
FAR = [NOW - DAY, NOW - 40 * DAY, NOW - 4000 * DAY, NOW + 3 * DAY, 0, -(1 << 63), (1 << 63) - 1]
TIMES = [NOW + k for k in range(6)] + FAR
FLEET = [make_labels({"__name__": f"m{i % 3}", "i": str(i)}) for i in range(6)]
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
VALUES = [0.0, -0.0, 1.0, 2.5, 1 / 3, STALE, float("inf"), 5e-324, 1e300, 12.75, 2.0**60]
OPTIONS = EngineOptions(flush_rows=30, compact_interval_s=3600.0)

samples = st.lists(
    st.tuples(st.integers(0, len(FLEET) - 1), st.sampled_from(TIMES), st.sampled_from(VALUES)), min_size=1, max_size=15
)
Model = dict[tuple[Labels, int], bytes]


class FixedClock:
    def now_ns(self) -> int:
        return NOW * 1_000_000


class StoreMachine(RuleBasedStateMachine):
    """The model is what was acknowledged."""

    compiled = True

    def __init__(self) -> None:
        super().__init__()
        if self.compiled:
            warm.load_now(KERNELS)
        else:
            warm._state.ready.discard(KERNELS)
        self.base = Path(tempfile.mkdtemp(prefix="tsdb-"))
        self.model: Model = {}
        self.lives = 0

    @initialize()
    def begin(self) -> None:
        self.open()

    def open(self) -> None:
        limits = StoreLimits(cache_bytes=2_000)
        self.store = MetricStore(self.base / str(self.lives), OPTIONS, FixedClock(), limits)
        self.store.open()

    @rule(rows=samples)
    def append(self, rows: list[tuple[int, int, float]]) -> None:
        self.store.consume(metrics_batch([(FLEET[i], t, v) for i, t, v in rows]))
        for i, t, v in rows:
            self.model[FLEET[i], t] = struct.pack("<d", v)

    @rule()
    def flush(self) -> None:
        self.store.flush()

    @rule()
    def compact(self) -> None:
        assert self.store.engine.wait_recovered(30)
        self.store.engine.compact()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.open()

    @rule()
    def crash(self) -> None:
        """A copy of the folder is what a crash leaves: no close, no sync."""
        assert self.store.engine.wait_recovered(30)
        with self.store.engine._state.merging, self.store.engine._flusher._lock:
            shutil.copytree(self.base / str(self.lives), self.base / str(self.lives + 1))
        self.store.close()
        self.lives += 1
        self.open()

    @rule(metric=st.sampled_from(["m0", "m1", "nothing"]), bounds=st.tuples(*[st.sampled_from(TIMES)] * 2))
    def select_some(self, metric: str, bounds: tuple[int, int]) -> None:
        start, end = sorted(bounds)
        expected = {
            key: value
            for key, value in self.model.items()
            if dict(key[0])["__name__"] == metric and start <= key[1] <= end
        }
        assert self.selected([Matcher("__name__", MatchOp.EQ, metric)], start, end) == expected

    @invariant()
    def same_as_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        assert self.selected([], -(1 << 63), (1 << 63) - 1) == self.model
        assert self.store.series([]) == sorted({labels for labels, _ in self.model})

    def selected(self, matchers: list[Matcher], start: int, end: int) -> Model:
        assert self.store.engine.wait_recovered(30)
        found = self.store.select(matchers, start, end)
        assert list(found.labels) == sorted(set(found.labels)), "series are not sorted"
        assert (np.diff(found.offsets) > 0).all(), "a series without samples"
        rows: Model = {}
        for labels, first, stop in zip(found.labels, found.offsets[:-1], found.offsets[1:], strict=True):
            times = found.t_ms[first:stop].tolist()
            assert times == sorted(set(times)), "times do not rise"
            values = found.values[first:stop].tobytes()
            rows.update({(labels, t): values[8 * k : 8 * k + 8] for k, t in enumerate(times)})
        return rows

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            counters = self.store.engine.counters
            assert (counters.quarantined, counters.flush_failures) == (0, 0)
        shutil.rmtree(self.base)


class PlainStoreMachine(StoreMachine):
    """The same while the kernels are not compiled."""

    compiled = False


SETTINGS = settings(max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
TestMetricStore = StoreMachine.TestCase
TestMetricStore.settings = SETTINGS
TestMetricStoreUncompiled = PlainStoreMachine.TestCase
TestMetricStoreUncompiled.settings = SETTINGS
