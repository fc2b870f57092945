"""Tail sampling as a whole: waiting, late spans, crashes at any step, bounds, a store that refuses, the ledger."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from derived_series import SECOND, Hands
from span_batches import SpanRow, spans_batch, trace_id

from obs.collector.ledger import Ledger
from obs.collector.processors.sampling import sampler
from obs.collector.processors.sampling.config import parse
from obs.collector.processors.sampling.remembered import KEPT, OUT, UNDECIDED, Remembered
from obs.collector.processors.sampling.sampler import SamplingOptions, TailSampler, leftover
from obs.errors import Overloaded
from obs.model.batch import Batch, Signal

ERRORS = [{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}]
TENTH = [{"name": "tenth", "type": "probabilistic", "probabilistic": {"sampling_percentage": 10}}]


class Store:
    """Keeps what it takes; refuses while `full`."""

    def __init__(self) -> None:
        self.full, self.batches = False, list[Batch]()
        self.poison: bytes | None = None

    def consume(self, batch: Batch) -> None:
        if self.full:
            raise Overloaded("cannot take batch: full; send it again")
        if self.poison in batch.tables["spans"].column("trace_id").to_pylist():
            raise ZeroDivisionError
        self.batches.append(batch)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """(trace, span) of all, in order."""
        rows = [row for batch in self.batches for row in batch.tables["spans"].to_pylist()]
        return sorted((int.from_bytes(r["trace_id"]), int.from_bytes(r["span_id"])) for r in rows)


class Sampling:
    """A sampler with its clock, store and ledger; `again` is what a new process makes of the folder."""

    def __init__(self, folder: Path, policies: list[Any] = ERRORS, **options: Any) -> None:
        self.folder, self.policies, self.options = folder, policies, options
        self.clock, self.store, self.ledger = Hands(), Store(), Ledger()
        self.open()

    def open(self) -> None:
        def record(kept: int, dropped: Any) -> None:
            self.ledger.record(Signal.TRACES, "tail_sampling", kept, dropped)

        options = SamplingOptions(**{"decision_wait_s": 10, **self.options})
        self.sampler = TailSampler(options, parse(self.policies), self.store, record, self.folder, self.clock)
        self.sampler.open()

    def send(self, *rows: SpanRow) -> None:
        self.sampler.consume(spans_batch(*rows))

    def pass_s(self, seconds: float) -> None:
        self.clock.ns += round(seconds * SECOND)
        self.sampler.tick(self.clock.ns / SECOND)

    @property
    def segments(self) -> int:
        return len(list(self.folder.glob("*.wal")))

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        samples = [s for family in self.sampler.counts.collect() for s in family.samples]
        return {tuple(s.labels.values()): s.value for s in samples if s.name == f"obs_tail_sampling_{name}"}


def test_a_trace_waits_for_its_spans_and_is_decided_as_a_whole(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path)
    sampling.send(SpanRow(1, 1), SpanRow(2, 1))
    sampling.pass_s(9)
    sampling.send(SpanRow(1, 2, status=2))
    sampling.pass_s(0.5)
    assert sampling.store.spans == []
    sampling.pass_s(1)
    assert sampling.store.spans == [(1, 1), (1, 2)]
    totals = sampling.ledger.totals(Signal.TRACES, "tail_sampling")
    assert (totals.received, totals.stored, totals.dropped, totals.balanced) == (3, 2, {"sampled_out": 1}, True)
    assert sampling.counted("decisions_total") == {("errors", "sampled"): 1, ("errors", "not_sampled"): 1}
    assert sampling.counted("traces_total") == {("sampled",): 1, ("sampled_out",): 1}
    assert sampling.counted("pending_spans") == {(): 0}
    assert sampling.segments == 0


def test_late_spans_go_where_their_trace_went(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path)
    sampling.send(SpanRow(1, 1, status=2), SpanRow(2, 1))
    sampling.pass_s(11)
    sampling.send(SpanRow(1, 2), SpanRow(2, 2, status=2), SpanRow(3, 1))
    assert sampling.store.spans == [(1, 1), (1, 2)]
    assert sampling.counted("spans_total") == {
        ("sampled",): 1, ("sampled_out",): 1, ("late_sampled",): 1, ("late_sampled_out",): 1,
    }  # fmt: skip
    sampling.pass_s(11)
    totals = sampling.ledger.totals(Signal.TRACES, "tail_sampling")
    assert (totals.stored, totals.dropped) == (2, {"sampled_out": 3})


def test_what_waits_is_found_by_its_trace_until_it_is_stored(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path)

    def held(trace: int) -> tuple[list[int], int]:
        found = sampling.sampler.held(trace_id(trace))
        return sorted(row["span_id"][-1] for some in found.spans for row in some.to_pylist()), found.undecided

    sampling.send(SpanRow(1, 1, status=2), SpanRow(2, 1))
    sampling.pass_s(1)
    sampling.send(SpanRow(1, 2), SpanRow(3, 1))
    assert (held(1), held(2), held(3), held(4)) == (([1, 2], 2), ([1], 1), ([1], 1), ([], 0))
    assert sampling.sampler.undecided() == 4
    sampling.store.full = True
    sampling.pass_s(9.5)
    assert (held(1), held(2), held(3)) == (([1, 2], 0), ([], 0), ([1], 1))
    sampling.store.full = False
    sampling.pass_s(0)
    assert held(1) == ([], 0)
    assert sampling.sampler.undecided() == 1


def test_late_spans_of_a_batch_that_is_refused_are_not_counted(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path)
    sampling.send(SpanRow(1, 1, status=2), SpanRow(2, 1))
    sampling.pass_s(11)
    sampling.sampler.close()
    with pytest.raises(Overloaded, match="stopping"):
        sampling.send(SpanRow(1, 2), SpanRow(2, 2), SpanRow(3, 1))
    totals = sampling.ledger.totals(Signal.TRACES, "tail_sampling")
    assert (totals.stored, totals.dropped) == (1, {"sampled_out": 1})


def test_a_rate_is_not_spent_on_traces_that_are_decided(tmp_path: Path) -> None:
    rate = {"name": "rate", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 10}}
    sampling = Sampling(tmp_path, [rate])
    sampling.send(*(SpanRow(trace, 1) for trace in range(1, 11)))
    sampling.store.full = True
    sampling.pass_s(11)
    sampling.store.full = False
    sampling.open()  # all are decided and not stored
    sampling.send(*(SpanRow(trace, 1) for trace in range(11, 21)))
    sampling.sampler._replayed = sampling.sampler._replayed[:0]
    sampling.pass_s(11)
    assert sampling.store.spans == [(trace, 1) for trace in range(1, 21)]
    assert sampling.counted("decisions_total") == {("rate", "sampled"): 10, ("rate", "not_sampled"): 0}


def test_kept_spans_say_how_many_they_stand_for(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path, [*TENTH, *ERRORS])
    rows = [SpanRow(trace, 1, attributes={"sampling.weight": 2} if trace % 2 else {}) for trace in range(1, 501)]
    sampling.send(*rows, *(SpanRow(1000 + i, 1, status=2) for i in range(20)))
    sampling.pass_s(11)
    (table,) = [batch.tables["spans"] for batch in sampling.store.batches]
    weight = dict(zip(
        (int.from_bytes(t) for t in table.column("trace_id").to_pylist()),
        table.column("attr.sampling.weight:float").to_pylist(), strict=True,
    ))  # fmt: skip
    assert {w for trace, w in weight.items() if trace >= 1000} == {None}
    assert {w for trace, w in weight.items() if trace < 1000 and trace % 2} == {20.0}
    assert {w for trace, w in weight.items() if trace < 1000 and trace % 2 == 0} == {10.0}
    assert "attr.sampling.weight:int" not in table.schema.names
    plain = SpanRow(next(t for t in weight if t < 1000 and t % 2 == 0), 2)
    sampling.send(plain)
    assert sampling.store.batches[-1].tables["spans"].column("attr.sampling.weight:float").to_pylist() == [10.0]


def test_a_weight_that_no_float_holds_exactly_stops_nobody(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path, TENTH)
    sampling.send(*(SpanRow(trace, 1, attributes={"sampling.weight": 2**60 + 1}) for trace in range(1, 101)))
    sampling.pass_s(11)
    (table,) = [batch.tables["spans"] for batch in sampling.store.batches]
    assert set(table.column("attr.sampling.weight:float").to_pylist()) == {10 * 2.0**60}


def test_what_was_acknowledged_and_not_decided_is_there_after_a_crash(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path)
    sampling.send(SpanRow(1, 1, status=2), SpanRow(2, 1))
    sampling.pass_s(5)
    sampling.send(SpanRow(1, 2), SpanRow(3, 1, status=2))
    sampling.open()
    assert sampling.counted("pending_spans") == {(): 4}
    sampling.send(SpanRow(1, 3))
    sampling.pass_s(11)
    assert sampling.store.spans == [(1, 1), (1, 2), (1, 3), (3, 1)]
    assert sampling.segments == 0


def test_a_decision_holds_after_a_crash_between_it_and_the_store(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path)
    sampling.send(SpanRow(1, 1, status=2), SpanRow(2, 1))
    sampling.store.full = True
    sampling.pass_s(11)
    sampling.store.full = False
    assert sampling.store.spans == []
    sampling.policies = [{"name": "none", "type": "probabilistic", "probabilistic": {"sampling_percentage": 0}}]
    sampling.open()
    sampling.pass_s(0)
    assert sampling.store.spans == [(1, 1)]
    assert sampling.segments == 0


def test_a_store_that_refuses_is_asked_again_and_then_senders_wait(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path, memory_bytes=20_000)
    sampling.store.full = True
    sent = 0
    with pytest.raises(Overloaded, match="too many wait"):
        for trace in range(1, 5000):
            sampling.send(SpanRow(trace, 1, status=2))
            sent += 1
            sampling.pass_s(0.1)
    assert sampling.store.spans == []
    sampling.store.full = False
    sampling.pass_s(11)
    assert sampling.store.spans == [(trace, 1) for trace in range(1, sent + 1)]
    sampling.send(SpanRow(9999, 1))


def test_spans_that_a_bug_keeps_from_the_store_are_counted_and_hold_up_no_others(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path)
    sampling.store.poison = trace_id(1)
    for trace in (1, 2):
        sampling.send(SpanRow(trace, 1, status=2))
    with pytest.raises(ZeroDivisionError):
        sampling.pass_s(11)
    sampling.pass_s(1)
    assert sampling.store.spans == [(2, 1)]
    totals = sampling.ledger.totals(Signal.TRACES, "tail_sampling")
    assert (totals.received, totals.stored, totals.dropped) == (2, 1, {"error": 1})
    assert sampling.segments == 0


def test_past_the_memory_the_oldest_are_decided_early_and_none_is_lost(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path, memory_bytes=40_000)
    for trace in range(1, 401):
        sampling.send(SpanRow(trace, 1, status=2))
        sampling.clock.ns += SECOND // 1000
        if trace % 20 == 0:
            sampling.pass_s(0)
            assert sampling.sampler._pending.nbytes <= 40_000
    early = len(sampling.store.spans)
    assert 0 < early < 400
    assert sampling.store.spans == [(trace, 1) for trace in range(1, early + 1)]
    assert sampling.counted("traces_total")["early",] == early
    sampling.pass_s(11)
    assert len(sampling.store.spans) == 400


def test_policies_that_fail_lose_nothing(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path)
    sampling.send(SpanRow(1, 1, status=2))

    def broken(due: Any, now_s: float, among: Any) -> Any:
        raise ZeroDivisionError

    good = sampling.sampler._policies
    sampling.sampler._policies = {"broken": broken}
    with pytest.raises(ZeroDivisionError):
        sampling.pass_s(11)
    sampling.sampler._policies = good
    sampling.pass_s(1)
    assert sampling.store.spans == [(1, 1)]


def test_batches_wait_anew_as_a_whole_where_one_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = Sampling(tmp_path)
    for trace in (1, 2, 3):
        sampling.send(SpanRow(trace, 1, status=2 if trace < 3 else 0))
    made = sampler.weighted
    answers = iter([made, None])

    def fails_at_the_second(*given: Any) -> Any:
        return next(answers)(*given)  # type: ignore[misc]

    with monkeypatch.context() as patch, pytest.raises(TypeError):
        patch.setattr(sampler, "weighted", fails_at_the_second)
        sampling.pass_s(11)
    sampling.pass_s(1)
    assert sampling.store.spans == [(1, 1), (2, 1)]
    totals = sampling.ledger.totals(Signal.TRACES, "tail_sampling")
    assert (totals.stored, totals.dropped) == (2, {"sampled_out": 1})


def test_what_a_sampler_left_keeps_the_weight_that_was_decided(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path, TENTH)
    sampling.send(*(SpanRow(trace, 1) for trace in range(1, 101)))
    sampling.store.full = True
    sampling.pass_s(11)
    store = Store()
    leftover(tmp_path, store)
    (table,) = [batch.tables["spans"] for batch in store.batches]
    assert 0 < table.num_rows < 30
    assert set(table.column("attr.sampling.weight:float").to_pylist()) == {10.0}


def test_what_a_sampler_left_is_stored_once_it_is_configured_no_longer(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path / "s")
    sampling.send(SpanRow(1, 1, status=2), SpanRow(2, 1))
    sampling.store.full = True
    sampling.pass_s(11)
    sampling.send(SpanRow(3, 1))
    store = Store()
    leftover(tmp_path / "s", store)
    assert store.spans == [(1, 1), (3, 1)]
    leftover(tmp_path / "s", store)
    assert len(store.spans) == 2
    leftover(tmp_path / "absent", store)


def test_any_order_of_spans_and_crashes_ends_as_if_all_had_come_at_once(tmp_path: Path) -> None:
    at = random.Random(3)
    sampling = Sampling(tmp_path, [*ERRORS, *TENTH])
    rows = [
        SpanRow(trace, span, status=2 if at.random() < 0.02 else 0) for trace in range(1, 200) for span in range(1, 6)
    ]
    at.shuffle(rows)
    for i in range(0, len(rows), 50):
        sampling.send(*rows[i : i + 50])
        if at.random() < 0.4:
            sampling.open()
        sampling.pass_s(0.2)
    sampling.pass_s(11)
    whole = Sampling(tmp_path / "whole", [*ERRORS, *TENTH])
    whole.send(*rows)
    whole.pass_s(11)
    assert sorted(set(sampling.store.spans)) == whole.store.spans
    failed = {row.trace for row in rows if row.status == 2}
    assert failed <= {trace for trace, _ in whole.store.spans}


def test_decisions_are_remembered_up_to_a_number() -> None:
    remembered, at = Remembered(1000), np.random.default_rng(1)
    keys = at.integers(0, 2**63, 5000).astype(np.uint64)
    for i in range(0, 5000, 50):
        some = keys[i : i + 50]
        remembered.add(some, some % np.uint64(2) == 1, np.full(50, 2.0))
    assert 1000 <= len(remembered) <= 1300
    found, weight = remembered.find(keys[-1000:])
    assert found.tolist() == [KEPT if key % np.uint64(2) == 1 else OUT for key in keys[-1000:]]
    assert set(weight) == {2.0}
    assert (remembered.find(keys[:1000])[0] == UNDECIDED).all()
    remembered.add(keys[-1:], np.array([True]), np.array([7.0]))
    assert remembered.find(keys[-1:])[1].tolist() == [7.0]
    assert trace_id(1) == bytes(15) + b"\1"
