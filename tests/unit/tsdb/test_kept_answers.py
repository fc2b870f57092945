"""Kept answers: whatever is written, late, deleted or lost in between, they are those of a new evaluation."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from metric_rows import mixed_batch

from obs.columnar.options import EngineOptions
from obs.model.labels import Matcher, MatchOp, make_labels
from obs.tsdb.changes import EVER, NEVER, Changes
from obs.tsdb.limits import MOST_CHANGES
from obs.tsdb.promql import PromQL, Result
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.promql.kept import sees_ahead
from obs.tsdb.promql.limits import KEPT_BYTES
from obs.tsdb.promql.parse import parse
from obs.tsdb.store import MetricStore

T0 = 1_700_000_000_000
STEP = 60_000
SERIES = [make_labels({"__name__": "m", "s": s, "job": job}) for s, job in zip("abcd", "xxyy", strict=True)]
QUERIES = [
    "m", "sum by (job) (rate(m[5m]))", "m offset -4m", "max_over_time(m[7m]) > 3", "absent(m{s='a'})",
    "sum_over_time(sum(m)[10m:1m] offset 2m)", "topk(2, m)", "m and on () (vector(time() % 120) == 0)",
]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricStore]:
    opened = MetricStore(tmp_path / "metrics", EngineOptions(compact_interval_s=3600.0))
    opened.open()
    opened.engine.wait_recovered()
    yield opened
    opened.close()


@pytest.fixture
def promql(store: MetricStore) -> PromQL:
    return PromQL(store, changes=store.changes)


def write(store: MetricStore, minutes: list[int], value: float = 1.0) -> None:
    store.consume(mixed_batch([(ls, T0 + m * STEP, value + m) for ls in SERIES for m in minutes]))


def ask(promql: PromQL, query: str, first: int, last: int, anew: bool = False) -> Result:
    return promql.query_range(query, T0 + first * STEP, T0 + last * STEP, STEP, anew=anew)


def same(a: Result, b: Result) -> bool:
    cells = [np.where(r.present, r.values, -1.0).round(9).tolist() for r in (a, b)]
    return list(a.labels) == list(b.labels) and a.times.tolist() == b.times.tolist() and cells[0] == cells[1]


def test_a_moved_range_reads_only_its_new_steps(store: MetricStore, promql: PromQL) -> None:
    write(store, list(range(40)))
    assert "steps_kept" not in ask(promql, "m", 0, 20).stats
    assert ask(promql, "m", 0, 20).stats == {"steps_kept": 21}
    moved = ask(promql, "m", 5, 30)
    assert moved.stats["steps_kept"] == 16
    assert same(moved, ask(promql, "m", 5, 30, anew=True))


def test_a_late_sample_is_seen(store: MetricStore, promql: PromQL) -> None:
    write(store, list(range(0, 40, 2)))
    ask(promql, "m", 0, 39)
    write(store, [21], 500.0)
    after = ask(promql, "m", 0, 39)
    assert after.values[0, 21] == 521.0
    assert after.stats["steps_kept"] == 21


def test_what_looks_ahead_waits_for_what_comes(store: MetricStore, promql: PromQL) -> None:
    write(store, list(range(20)))
    ask(promql, "m offset -10m", 0, 19)
    write(store, [20, 21])
    assert ask(promql, "m offset -10m", 0, 19).stats["steps_kept"] == 10


def test_deletes_are_seen(store: MetricStore, promql: PromQL) -> None:
    write(store, list(range(20)))
    assert len(ask(promql, "m", 0, 19).labels) == 4
    store.delete([[Matcher("s", MatchOp.EQ, "a")]])
    assert len(ask(promql, "m", 0, 19).labels) == 3


def test_random_walk(store: MetricStore, promql: PromQL) -> None:
    """Writes in and out of order, deletes and flushes between questions over ranges that move and jump."""
    choice = random.Random(7)
    now, kept = 5, 0
    for turn in range(120):
        now += choice.choice([0, 1, 1, 2])
        write(store, [now if choice.random() < 0.8 else choice.randrange(now)], choice.random())
        if turn % 40 == 17:
            store.flush()
        if turn % 50 == 23:
            store.delete([[Matcher("s", MatchOp.EQ, choice.choice("abcd"))]], T0, T0 + choice.randrange(now) * STEP)
        query = choice.choice(QUERIES)
        first = choice.choice([0, max(now - 20, 0), choice.randrange(now)])
        answer = ask(promql, query, first, now + choice.randrange(3))
        kept += int(answer.stats.get("steps_kept", 0))
        assert same(answer, ask(promql, query, first, int(answer.times[-1] - T0) // STEP, anew=True)), (turn, query)
    assert kept > 300


def test_histograms_and_remarks_are_not_kept(store: MetricStore, promql: PromQL) -> None:
    hist = Histogram(schema=0, count=3.0, sum=9.0, positive={1: 3.0})
    store.consume(mixed_batch([(SERIES[0], T0 + i * STEP, hist) for i in range(9)], []))
    write(store, [20, 21])
    for query in ("m", "rate(m[5m])", "rate(m[5m:1m] @ end())"):
        ask(promql, query, 0, 8)
        assert "steps_kept" not in ask(promql, query, 0, 8).stats


@pytest.mark.parametrize(
    ("query", "ahead_ms"),
    [
        ("m", 0),
        ("m offset 5m", 0),
        ("sum(m offset -5m) / m", 300_000),
        ("max_over_time(rate(m[1m] offset -2m)[10m:1m] offset -3m)", 300_000),
        ("m @ 10", None),
        ("rate(m[5m] @ end())", None),
        ("sum(m) + start()", None),
        ("time()", 0),
    ],
)
def test_how_far_a_query_sees_ahead(query: str, ahead_ms: int | None) -> None:
    assert sees_ahead(parse(query)) == ahead_ms


def test_kept_answers_are_bounded(store: MetricStore, promql: PromQL) -> None:
    write(store, [0])
    for n in range(3_000):
        promql.query_range(f"vector({n})", T0, T0 + 10_000 * STEP, STEP)
    assert promql.kept is not None
    assert KEPT_BYTES // 2 < promql.kept.nbytes <= KEPT_BYTES


def test_changes_stay_true_when_they_are_thinned() -> None:
    changes = Changes(lambda: 0)
    moments = []
    for n in range(3 * MOST_CHANGES):
        moments.append((changes.now(), n * 10_000))
        changes.note(n * 10_000)
    assert changes.since(changes.now()) == NEVER
    for moment, first_ms in moments[:: MOST_CHANGES // 8]:
        assert first_ms - 40_000 <= changes.since(moment) <= first_ms
    changes.note(55_000)
    assert changes.since(moments[-1][0]) == 50_000


def test_losses_end_all() -> None:
    losses = [0]
    changes = Changes(lambda: losses[0])
    moment = changes.now()
    losses[0] = 1
    assert changes.since(moment) == EVER
