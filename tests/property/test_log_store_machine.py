"""The log store against a list: append, flush, compact, crash, reopen; every record is found, none twice."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from examples import examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from log_recipes import Record, logs_batch

from obs import warm
from obs.columnar.options import EngineOptions
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore

WORDS = ["alpha", "beta", "Error", "timeout=5", "id-77", "x_y", "naïve", "c:\\d", ""]
LINES = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
RECORDS = st.builds(
    Record,
    time_ns=st.integers(0, 50) | st.sampled_from([-5, 10**18, 4 * 10**18]),
    body=LINES,
    resource=st.fixed_dictionaries(
        {"service.name": st.sampled_from(["a", "b"])}, optional={"env": st.sampled_from(["dev", "prod"])}
    ),
    attributes=st.fixed_dictionaries(
        {},
        optional={
            "n": st.integers(0, 3),
            "thread": st.sampled_from(["w-1", "w-2"]),
            "mixed": st.just("s") | st.just(1),
        },
    ),
    severity=st.sampled_from(["", "INFO", "ERROR"]),
)


class LogStoreMachine(RuleBasedStateMachine):
    """Holds what was acknowledged in a list and asks the store for it."""

    @initialize()
    def begin(self) -> None:
        warm.load_now("obs.logstore.kernels")
        self.folder = Path(tempfile.mkdtemp())
        self.records: list[Record] = []
        self.lives = 0
        self.start()

    def start(self) -> None:
        self.store = LogStore(self.folder / f"life-{self.lives}", EngineOptions(compact_interval_s=3600))
        self.store.open()
        self.store.engine.wait_recovered()
        self.logql = LogQL(self.store)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)

    @rule(records=st.lists(RECORDS, min_size=1, max_size=8))
    def consume(self, records: list[Record]) -> None:
        self.store.consume(logs_batch(records))
        self.records += records

    @rule()
    def flush(self) -> None:
        self.store.flush()

    @rule()
    def compact(self) -> None:
        self.store.engine.compact()

    @rule()
    def crash(self) -> None:
        """A copy of the folder is what a crash leaves: no close, no sync."""
        self.store.engine.wait_recovered()
        with self.store.engine._state.merging, self.store.engine._flusher._lock:
            shutil.copytree(self.folder / f"life-{self.lives}", self.folder / f"life-{self.lives + 1}")
        self.store.close()
        self.lives += 1
        self.start()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.start()

    def found(self, query: str, **more: bool) -> list[tuple[int, str]]:
        entries = self.logql.records(query, -(1 << 62), 1 << 62, 5000, **more).entries
        return [(e.time_ns, e.line) for e in entries]

    def expected(self, keep) -> list[tuple[int, str]]:
        return sorted((r.time_ns, r.body) for r in self.records if keep(r))

    @invariant()
    def everything_is_there(self) -> None:
        if not hasattr(self, "store"):
            return
        assert sorted(self.found("{}")) == self.expected(lambda r: True)
        times = [t for t, _ in self.found("{}")]
        assert times == sorted(times, reverse=True)

    @rule(
        service=st.sampled_from(["a", "b"]), text=st.sampled_from(["alpha", "lph", "ta Err", "timeout=5 id", "ï", "zz"])
    )
    def search(self, service: str, text: str) -> None:
        query = f'{{service_name="{service}"}} |= "{text}"'
        expected = self.expected(lambda r: r.resource["service.name"] == service and text in r.body)
        assert sorted(self.found(query, newest_first=False)) == expected

    @rule(n=st.integers(0, 3))
    def filter_by_attribute(self, n: int) -> None:
        expected = self.expected(lambda r: "n" in r.attributes and r.attributes["n"] >= n)
        assert sorted(self.found(f"{{}} | n >= {n}")) == expected
        mixed = self.expected(lambda r: str(r.attributes.get("mixed", "")) == "1")
        assert sorted(self.found('{} | mixed = "1"')) == mixed

    @rule(
        service=st.sampled_from(["a", "b", ".*"]),
        text=st.sampled_from(["", "alpha", "ta Err", "zz"]),
        n=st.none() | st.integers(0, 3),
        start=st.integers(-10, 50),
        span=st.integers(0, 40) | st.just(1 << 62),
    )
    def delete(self, service: str, text: str, n: int | None, start: int, span: int) -> None:
        """What comes later is not deleted."""
        query = f'{{service_name=~"{service}"}} |= "{text}"' + ("" if n is None else f" | n >= {n}")
        self.store.delete(query, start, start + span)

        def hit(r: Record) -> bool:
            named = service in (".*", r.resource["service.name"]) and text in r.body
            numbered = n is None or ("n" in r.attributes and r.attributes["n"] >= n)
            return named and numbered and start <= r.time_ns <= start + span

        self.records = [r for r in self.records if not hit(r)]

    @rule()
    def clean(self) -> None:
        self.store.clean()
        with self.store.view() as view:
            assert not any(block.tombstones for block in view.blocks)

    @rule(env=st.sampled_from(["dev", "prod"]))
    def streams(self, env: str) -> None:
        expected = self.expected(lambda r: r.resource.get("env") == env)
        assert sorted(self.found(f'{{env="{env}"}}')) == expected
        matrix, _, _ = self.logql.range(f'sum by (env) (count_over_time({{env="{env}"}}[100ns]))', 60, 60, 1)
        got = {dict(labels)["env"]: int(values[0]) for labels, values in zip(matrix.labels, matrix.values, strict=True)}
        recent = sum(-40 < t <= 60 for t, _ in expected)
        assert got == ({env: recent} if recent else {})

    @rule(start=st.integers(-3, 55), span=st.integers(1, 30), step=st.integers(1, 20))
    def count(self, start: int, span: int, step: int) -> None:
        matrix, steps, _ = self.logql.range(f"sum(count_over_time({{}}[{span}ns]))", start, start + 5 * step, step)
        for k, t in enumerate(steps.times()):
            count = sum(t - span < r.time_ns <= t for r in self.records)
            got = matrix.values[0, k] if len(matrix.labels) and matrix.present[0, k] else 0
            assert got == count


LogStoreMachine.TestCase.settings = examples(15, stateful_step_count=12)
TestLogStore = LogStoreMachine.TestCase
