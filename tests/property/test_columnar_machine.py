"""A storage engine against a dict: append, flush, compact, crash, reopen, retain, in any order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import orjson
from examples import examples
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from obs.columnar.engine import Engine
from obs.columnar.example import KeyValueLayout, read_values, values_batch
from obs.columnar.options import EngineOptions
from obs.columnar.view import View

DAY = 86_400_000_000_000
START = 20_000 * DAY + DAY // 3
NEAR = [START + days * DAY for days in (0, -1, -14, -15, -16, -40, -400, 1, 2)]
TIMES = [*NEAR, START - 5, START + 90 * DAY, 0, 1, -(1 << 63), (1 << 63) - 1]
OPTIONS = EngineOptions(flush_rows=40, compact_interval_s=3600.0, retention_age_s=30 * 86_400)

BOUNDS = st.sampled_from(NEAR).map(lambda t: (t, t)) | st.tuples(*[st.sampled_from(TIMES)] * 2)
"""Of deletes: an instant, which is both the first and the last that is deleted, or any two."""

rows = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(TIMES)), min_size=1, max_size=12)


class ManualClock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.ns = START

    def now_ns(self) -> int:
        return self.ns


class EngineMachine(RuleBasedStateMachine):
    """The model is what was written; of what is past retention the engine may keep any part."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="columnar-"))
        self.clock = ManualClock()
        self.model: dict[tuple[int, int], int] = {}
        self.written = 0
        self.lives = 0
        self.held: list[tuple[View, dict[tuple[int, int], int]]] = []

    @initialize()
    def begin(self) -> None:
        self.open()

    def open(self) -> None:
        self.engine = Engine(KeyValueLayout(), self.base / str(self.lives), OPTIONS, self.clock)
        self.engine.open()

    @rule(keys=rows)
    def append(self, keys: list[tuple[int, int]]) -> None:
        self.written += 1
        self.engine.append({"values": values_batch([(k, t, self.written) for k, t in keys])})
        for key in keys:
            self.model[key] = self.written

    @rule(key=st.integers(0, 1), times=st.lists(st.sampled_from(NEAR), min_size=1, max_size=2))
    def append_and_flush(self, key: int, times: list[int]) -> None:
        self.append(keys=[(key, t) for t in times])
        self.engine.flush()

    @rule()
    def compact(self) -> None:
        assert self.engine.wait_recovered(30)
        self.engine.compact()

    @rule()
    def reopen(self) -> None:
        self.let_go()
        self.engine.close()
        self.open()

    @rule()
    def crash(self) -> None:
        """A copy of the folder is what a crash leaves: no close, no sync."""
        self.engine.wait_recovered(30)
        self.engine.flush() if self.lives % 3 == 2 else None
        self.let_go()
        self.copy()
        self.go_on_with_the_copy()

    def copy(self) -> None:
        with self.engine._state.merging, self.engine._flusher._lock:
            shutil.copytree(self.base / str(self.lives), self.base / str(self.lives + 1))

    def go_on_with_the_copy(self) -> None:
        self.engine.close()
        self.lives += 1
        self.open()

    @rule(deleted=st.sets(st.integers(0, 3), min_size=1), bounds=BOUNDS)
    def crash_in_a_delete(self, deleted: set[int], bounds: tuple[int, int]) -> None:
        """Its file is there; nothing that it hides was written anew yet, in the WAL or in blocks."""
        self.engine.wait_recovered(30)
        self.let_go()
        self.copy()
        self.delete(deleted=deleted, bounds=bounds)
        shutil.rmtree(self.base / str(self.lives + 1) / "tombstones")
        shutil.copytree(self.base / str(self.lives) / "tombstones", self.base / str(self.lives + 1) / "tombstones")
        self.go_on_with_the_copy()

    @rule(deleted=st.sets(st.integers(0, 3), min_size=1), bounds=BOUNDS)
    def delete(self, deleted: set[int], bounds: tuple[int, int]) -> None:
        low, high = min(bounds), max(bounds)
        self.engine.delete(orjson.dumps(sorted(deleted)), low, high)
        for key, t_ns in list(self.model):
            if key in deleted and low <= t_ns <= high:
                del self.model[key, t_ns]

    @rule()
    def clean(self) -> None:
        self.engine.clean()
        with self.engine.view() as view:
            assert not any(block.tombstones for block in view.blocks)
        assert not list((self.base / str(self.lives) / "tombstones").iterdir())

    @rule()
    def open_snapshot(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.engine.snapshot(Path(folder) / "copy")
            copy = Engine(KeyValueLayout(), Path(folder) / "copy", OPTIONS, self.clock)
            copy.open()
            with copy.view() as view:
                assert self.kept(read_values(view)) == self.kept(self.model)
            copy.close()

    @rule(days=st.sampled_from([1, 4, 17, 20]))
    def pass_time(self, days: int) -> None:
        self.clock.ns += days * DAY

    @rule()
    def retain(self) -> None:
        assert self.engine.wait_recovered(30)
        self.engine.retain()

    @precondition(lambda self: len(self.held) < 2)
    @rule()
    def hold_view(self) -> None:
        assert self.engine.wait_recovered(30)
        view = self.engine.view()
        self.held.append((view, read_values(view)))

    @rule()
    def let_go(self) -> None:
        for view, seen in self.held:
            assert read_values(view) == seen, "a view changed"
            view.close()
        self.held.clear()

    @invariant()
    def same_as_the_model(self) -> None:
        if not hasattr(self, "engine"):
            return
        assert self.engine.wait_recovered(30)
        with self.engine.view() as view:
            seen = read_values(view)
        assert set(seen) <= set(self.model)
        assert self.kept(seen) == self.kept(self.model)

    def kept(self, rows: dict[tuple[int, int], int]) -> dict[tuple[int, int], int]:
        """The rows that retention, which also runs in the background, must not touch."""
        cutoff = self.clock.ns - 30 * DAY
        return {key: value for key, value in rows.items() if key[1] >= cutoff}

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.let_go()
            self.engine.close()
            assert self.engine.counters.quarantined == 0
            assert self.engine.counters.flush_failures == 0
        shutil.rmtree(self.base)


TestColumnarEngine = EngineMachine.TestCase
TestColumnarEngine.settings = examples(40, stateful_step_count=30)
