"""Start timestamps in a store: in the head, in blocks, merged, overwritten and deleted; and queries that heed them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from obs.model.batch import Batch, Signal
from obs.model.build import metrics_batch
from obs.model.labels import Labels, Matcher, MatchOp, labels_id, make_labels
from obs.model.schema import DAY_MS, STARTS
from obs.tsdb.promql import PromQL, QueryOptions
from obs.tsdb.starts import at_times
from obs.tsdb.store import MetricStore

A, B = make_labels({"__name__": "a_total"}), make_labels({"__name__": "b_total"})
T0 = 1_700_000_000_000
STEP = 15_000


def batch(labels: Labels, rows: list[tuple[int, float, int]]) -> Batch:
    """Samples as (time, value, start)."""
    made = metrics_batch([(labels, t, v) for t, v, _ in rows])
    columns = {"series_id": [labels_id(labels)] * len(rows), "t_ms": [t for t, *_ in rows]}
    began = pa.RecordBatch.from_pydict({**columns, "start_ms": [start for *_, start in rows]}, schema=STARTS)
    return Batch(Signal.METRICS, {**made.tables, "starts": began})


def told(store: MetricStore, labels: Labels = A) -> list[tuple[int, int]]:
    """Times of samples and their starts, of those that have one."""
    held = store.select([Matcher("__name__", MatchOp.EQ, dict(labels)["__name__"])], T0 - STEP, T0 + 2 * DAY_MS)
    found = store.starts([A, B], T0 - STEP, T0 + 2 * DAY_MS).get(labels)
    starts = np.zeros(len(held.t_ms), np.int64) if found is None else at_times(held.t_ms, *found)
    return [row for row in zip(held.t_ms.tolist(), starts.tolist(), strict=True) if row[1]]


def at(n: int) -> int:
    return T0 + n * STEP


def test_starts_are_kept_through_flush_and_merge(tmp_path: Path) -> None:
    store = MetricStore(tmp_path / "metrics")
    store.open()
    store.consume(metrics_batch([(A, at(0), 1.0)]))
    assert told(store) == []
    store.consume(batch(A, [(at(1), 5.0, at(0) + 1), (at(2), 6.0, at(0) + 1)]))
    assert told(store) == [(at(1), at(0) + 1), (at(2), at(0) + 1)] and told(store, B) == []
    store.flush()
    store.consume(batch(A, [(at(2), 7.0, at(1) + 1), (at(3), 8.0, at(1) + 1)]))  # one is written again
    store.consume(batch(B, [(at(3), 1.0, at(2))]))
    expected = [(at(1), at(0) + 1), (at(2), at(1) + 1), (at(3), at(1) + 1)]
    assert told(store) == expected and told(store, B) == [(at(3), at(2))]
    store.flush()
    store.engine.compact()
    assert told(store) == expected
    store.delete([(Matcher("__name__", MatchOp.EQ, "a_total"),)], at(2), at(2))
    assert told(store) == [expected[0], expected[2]] and told(store, B) == [(at(3), at(2))]
    store.clean()
    store.close()
    store = MetricStore(tmp_path / "metrics")
    store.open()
    assert store.engine.wait_recovered(10)
    assert told(store) == [expected[0], expected[2]]
    store.close()


def test_a_start_holds_until_the_next_one_or_the_end_of_its_day(tmp_path: Path) -> None:
    store = MetricStore(tmp_path / "metrics")
    store.open()
    midnight = T0 // DAY_MS * DAY_MS + DAY_MS
    times = [T0, T0 + STEP, T0 + 2 * STEP, T0 + 3 * STEP, midnight - 1, midnight, midnight + STEP]
    store.consume(metrics_batch([(A, t, 1.0) for t in times]))
    store.consume(batch(A, [(T0 + STEP, 1.0, T0 - 7)]))
    store.consume(batch(A, [(midnight - 1, 1.0, 0)]))  # none is known from here on
    expected = [(t, T0 - 7) for t in times[1:4]]
    assert told(store) == expected
    alone = store.starts([A], times[3], times[3])[A]  # what was said before the range holds in it
    assert at_times(np.array(times[3:4]), *alone).tolist() == [T0 - 7]
    store.consume(batch(A, [(midnight + STEP, 1.0, T0 - 7)]))
    store.flush()
    store.engine.compact()
    assert told(store) == [*expected, (midnight + STEP, T0 - 7)]
    store.close()


@pytest.mark.parametrize("flushed", [False, True])
def test_a_start_outlives_the_delete_of_the_sample_that_brought_it(tmp_path: Path, flushed: bool) -> None:
    store = MetricStore(tmp_path / "metrics")
    store.open()
    times = [at(0), at(1), at(2), at(3), T0 + DAY_MS]
    store.consume(metrics_batch([(A, t, 1.0) for t in times]))
    store.consume(batch(A, [(at(1), 1.0, at(1) - 7)]))
    store.consume(batch(A, [(at(0), 1.0, at(0) - 7)]))
    if flushed:
        store.flush()
    for first, last in ((at(0), at(0) + 1), (at(0) + 1, at(1)), (at(1) + 1, at(2))):
        store.delete([(Matcher("__name__", MatchOp.EQ, "a_total"),)], first, last)
    assert told(store) == [(at(3), at(1) - 7)]
    store.clean()
    assert told(store) == [(at(3), at(1) - 7)]
    store.delete([(Matcher("__name__", MatchOp.EQ, "a_total"),)], at(0), T0 + DAY_MS - 1)
    store.clean()
    assert told(store) == []
    store.close()


def test_blocks_keep_a_start_once_a_day_and_where_it_changes(tmp_path: Path) -> None:
    store = MetricStore(tmp_path / "metrics")
    store.open()
    rows = [(at(i), float(i), at(i // 10 * 10) - 1) for i in range(20)]
    store.consume(batch(A, rows))
    store.consume(batch(B, [(at(19), 1.0, at(9) - 1)]))
    assert told(store) == [(t, start) for t, _, start in rows]
    store.flush()
    with store.view() as view:
        kept = [block.read("starts").num_rows for block in view.blocks]
    assert kept == [3]
    assert told(store) == [(t, start) for t, _, start in rows] and told(store, B) == [(at(19), at(9) - 1)]
    store.close()


@pytest.mark.parametrize(("use_starts", "increase"), [(None, 2.0), (False, 2.0), (True, 10.0)])
def test_a_query_heeds_starts_where_that_is_asked(tmp_path: Path, use_starts: bool | None, increase: float) -> None:
    store = MetricStore(tmp_path / "metrics")
    store.open()
    store.consume(batch(A, [(at(0), 4.0, at(0) - 9), (at(1), 5.0, at(0) + 9), (at(2), 6.0, at(0) + 9)]))
    query = "increase(a_total[31s] @ %.3f)" % (at(2) / 1000)
    by_default, asked = PromQL(store), PromQL(store, QueryOptions(use_starts=bool(use_starts)))
    for found in (by_default.query(query, at(2), use_starts=use_starts), asked.query(query, at(2))):
        assert found.values.tolist() == [[pytest.approx(increase, rel=0.1)]]
    ranged = by_default.query_range("start_timestamp(a_total)", at(0), at(2), STEP, use_starts=use_starts)
    assert ranged.values.tolist() == ([[(at(0) - 9) / 1000] + [(at(0) + 9) / 1000] * 2] if use_starts else [])
    store.close()
