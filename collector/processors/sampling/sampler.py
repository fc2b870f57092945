"""Tail sampling between the pipeline and the store: spans wait in a journal until their trace is decided.

A batch is acknowledged once it is in the journal. Decided traces that are kept go to the store; what is left out is
counted, and so is what comes late for either.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obs.collector.limits import RETRY_AFTER_S
from obs.collector.processors.derived.columns import WEIGHT, Words, mixed, weights, words
from obs.collector.processors.derived.state import Floats
from obs.collector.processors.sampling.counts import Counts
from obs.collector.processors.sampling.due import Due, Mask
from obs.collector.processors.sampling.journal import DECISION, DECISIONS, SPANS, Journal
from obs.collector.processors.sampling.pending import Entry, Pending, Taken, entry
from obs.collector.processors.sampling.policies import Policy, of_all
from obs.collector.processors.sampling.remembered import KEPT, OUT, UNDECIDED, Remembered
from obs.errors import ObsError, Overloaded
from obs.model.batch import Batch, Signal
from obs.model.clock import Clock
from obs.model.ports import Consumer, Held, Stored
from obs.model.schema import TRACE_ID, attribute_column

log = logging.getLogger("obs.sampling")

SAMPLED_OUT, FAILED = "sampled_out", "error"

Record = Callable[[int, Mapping[str, int]], None]
"""Enters decided spans in the ledger: how many are stored, and how many dropped by reason."""


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How long a trace may take to come together, and what may wait."""

    decision_wait_s: float = 10.0
    memory_bytes: int = 256 << 20
    remembered: int = 500_000
    sync: bool = False


class TailSampler:
    """A consumer of spans in front of another."""

    def __init__(
        self,
        options: SamplingOptions,
        policies: Mapping[str, Policy],
        then: Consumer,
        record: Record,
        folder: Path,
        clock: Clock,
    ) -> None:
        self._options, self._policies, self._then, self._record = options, policies, then, record
        self._folder, self._clock = folder, clock
        self._lock, self._deciding = threading.Lock(), threading.Lock()
        self._pending = Pending()
        self._remembered = Remembered(options.remembered)
        self._outbox: deque[Entry] = deque()  # kept, and not yet taken by the store
        self._outbox_bytes = 0
        self._taken: Taken | None = None  # out of what waits, and not yet decided
        self._failed: Entry | None = None  # what the store could not take by a bug
        self._journal: Journal | None = None
        self._replayed: Words = np.zeros(0, np.uint64)
        self.counts = Counts(lambda: (self._pending.rows, self._pending.nbytes))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tail-sampling", daemon=True)

    def start(self) -> None:
        """Read the journal back, and begin to decide. Raises: StorageFull."""
        self.open()
        self._thread.start()

    def open(self) -> None:
        """Read the journal back: what was decided goes where it was to go, the rest waits anew. Raises: StorageFull."""
        self._journal = Journal(self._folder, self._options.sync)
        now_s = self._clock.now_ns() / 1e9
        for generation, table, batch in self._journal.replay():
            if table == SPANS:
                self._pending.add(entry(batch, _keys(batch), now_s, generation))
            else:
                keys, kept, weight = _decisions(batch)
                self._remembered.add(keys, kept, weight)
                self._replayed = np.union1d(self._replayed, keys)

    def close(self) -> None:
        """Stop; what is not decided waits in the journal. Safe to call twice and without `start`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            if self._journal is not None:
                self._journal.sync()
                self._journal.close()
                self._journal = None

    def consume(self, batch: Batch) -> Stored | None:
        """Take a batch of spans; durable when it returns. Raises: Overloaded, StorageFull."""
        spans = batch.tables.get("spans")
        if spans is None or not spans.num_rows:
            return None
        if self._pending.nbytes + self._outbox_bytes > 2 * self._options.memory_bytes:
            raise Overloaded(
                f"cannot take {spans.num_rows} spans: too many wait for a decision; send them again later",
                RETRY_AFTER_S,
            )
        keys = _keys(spans)
        decided, weight = self._remembered.find(keys)
        kept, out = decided == KEPT, decided == OUT
        if kept.any():
            self._store(weighted(spans.filter(pa.array(kept)), weight[kept]))
        if (kept | out).any():
            spans, keys = spans.filter(pa.array(decided == UNDECIDED)), keys[decided == UNDECIDED]
        if spans.num_rows:
            with self._lock:
                generation = self._opened.append(SPANS, spans)
                self._pending.add(entry(spans, keys, self._clock.now_ns() / 1e9, generation))
        self._enter(int(kept.sum()), int(out.sum()), "late_")  # a batch that is refused is not counted: it comes again
        return None

    def held(self, trace_id: bytes) -> Held:
        """What is here of a trace: undecided, or kept and not yet stored."""
        key = int(mixed(words(pa.array([trace_id], TRACE_ID), 2))[0])
        with self._lock:
            undecided = [*self._pending.find(key), *(self._taken.of(key) if self._taken is not None else ())]
            kept = [one.spans.filter(pa.array(one.keys == np.uint64(key))) for one in self._outbox]
        undecided, kept = ([own for some in them if (own := _of_trace(some, trace_id)).num_rows]
                           for them in (undecided, kept))  # fmt: skip
        return Held([*undecided, *kept], sum(some.num_rows for some in undecided))

    def undecided(self) -> int:
        """How many spans wait for a decision."""
        with self._lock:
            return self._pending.rows

    @property
    def _opened(self) -> Journal:
        if self._journal is None:
            raise Overloaded("cannot take spans: the server is stopping; send them again later", RETRY_AFTER_S)
        return self._journal

    def _store(self, spans: pa.RecordBatch) -> None:
        self._then.consume(Batch(Signal.TRACES, {"spans": spans}))

    def _enter(self, kept: int, out: int, when: str = "") -> None:
        """Count decided spans."""
        for outcome, count in (("sampled", kept), ("sampled_out", out)):
            if count:
                self.counts.spans(f"{when}{outcome}", count)
        if kept or out:
            self._record(kept, {SAMPLED_OUT: out} if out else {})

    def tick(self, now_s: float) -> None:
        """Decide on the traces that are due. Raises: StorageFull."""
        with self._deciding:
            with self._lock:
                before_s = now_s - self._options.decision_wait_s
                taken, early = self._pending.take(before_s, self._options.memory_bytes, self._replayed)
                self._taken = taken
                self._replayed = self._replayed[:0]
            if early:
                self.counts.traces("early", early)
            if taken is not None:
                self._decide_or_wait(taken, now_s)
            self._send()
            with self._lock:
                oldest = [g for g in (self._pending.oldest, *(one.generation for one in self._outbox)) if g is not None]
                journal = self._opened
                journal.forget_below(min(oldest) if oldest else None)
            journal.sync()

    def _decide_or_wait(self, taken: Taken, now_s: float) -> None:
        """What cannot be decided now must not be forgotten."""
        try:
            self._decide(taken, now_s)
        except BaseException:
            with self._lock:
                self._pending.put_back(taken)
                self._taken = None
            raise

    def _decide(self, taken: Taken, now_s: float) -> None:
        """Ask the policies about traces that nothing is known of; write the decisions down, then let them go."""
        due = taken.due
        known, weight = self._remembered.find(due.keys)
        kept = known == KEPT
        fresh = known == UNDECIDED
        if fresh.any():
            said, stands_for = self._asked(due, fresh, now_s)
            kept, weight = np.where(fresh, said, kept), np.where(fresh, stands_for, weight)
            columns = [pa.array(due.keys[fresh]), pa.array(kept[fresh]), pa.array(weight[fresh])]
            with self._lock:
                self._opened.append(DECISIONS, pa.RecordBatch.from_arrays(columns, schema=DECISION))
            self._remembered.add(due.keys[fresh], kept[fresh], weight[fresh])
            self.counts.traces("sampled", int(kept[fresh].sum()))
            self.counts.traces("sampled_out", int((~kept[fresh]).sum()))
        ready = list(_kept_of(taken, kept, weight, now_s))  # all or none: what fails waits anew as a whole
        with self._lock:
            self._outbox.extend(ready)
            self._outbox_bytes += sum(one.nbytes for one in ready)
            self._taken = None
        self._enter(0, int((~kept[due.group]).sum()))

    def _asked(self, due: Due, fresh: Mask, now_s: float) -> tuple[Mask, Floats]:
        """What the policies say: a trace is kept that one of them keeps, and stands for as many as the surest says."""
        kept, weight = np.zeros(len(due), np.bool_), np.full(len(due), np.inf)
        for name, policy in self._policies.items():
            verdict = policy(due, now_s, of_all(fresh))
            kept |= verdict.kept
            weight = np.where(verdict.kept, np.minimum(weight, verdict.weight), weight)
            self.counts.policy(name, int(verdict.kept.sum()), int((~verdict.kept & fresh).sum()))
        return kept, np.where(kept, weight, 1.0)

    def _send(self) -> None:
        """Give the store what is kept, in order; what it cannot take now is given again with the next tick.

        What fails twice by a bug is dropped and counted: it would hold up all that follow, after a restart too.
        """
        while self._outbox:
            one = self._outbox[0]
            try:
                self._store(one.spans)
            except (ObsError, MemoryError) as e:
                log.warning("sampled spans wait: %s", str(e) or "no memory is left")
                return
            except Exception:
                if one is not self._failed:
                    self._failed = one
                    raise
                log.exception("%d sampled spans cannot be stored, and are dropped", one.spans.num_rows)
                self._record(0, {FAILED: one.spans.num_rows})
            else:
                self._enter(one.spans.num_rows, 0)
            with self._lock:
                self._outbox.popleft()
                self._outbox_bytes -= one.nbytes

    def _run(self) -> None:
        step = min(max(self._options.decision_wait_s / 10, 0.1), 1.0)
        while not self._stopping.wait(step):
            try:
                self.tick(self._clock.now_ns() / 1e9)
            except ObsError as e:
                log.warning("tail sampling waits: %s", e)
            except Exception:
                log.exception("tail sampling failed in a part; going on")


def _kept_of(taken: Taken, kept: Mask, weight: Floats, now_s: float) -> Iterator[Entry]:
    """The spans of traces that are kept, batch by batch."""
    due, at = taken.due, 0
    for spans, generation in zip(due.batches, taken.generations, strict=True):
        group = due.group[at : at + spans.num_rows]
        at += spans.num_rows
        mask = kept[group]
        if mask.any():
            some = spans if mask.all() else spans.filter(pa.array(mask))
            yield entry(weighted(some, weight[group][mask]), due.keys[group[mask]], now_s, generation)


def _of_trace(spans: pa.RecordBatch, trace_id: bytes) -> pa.RecordBatch:
    """Those of just this trace, among spans of its key."""
    return spans.filter(pc.equal(spans.column("trace_id"), pa.scalar(trace_id, TRACE_ID)))


def _keys(spans: pa.RecordBatch) -> Words:
    """A number for each row's trace."""
    return mixed(words(spans.column("trace_id"), 2))


def weighted(spans: pa.RecordBatch, weight: Floats) -> pa.RecordBatch:
    """Spans that say how many they stand for, where that is more than one."""
    if not (weight > 1.0).any():
        return spans
    total = weights(spans) * weight
    named = {type_: attribute_column("attr", WEIGHT, type_) for type_ in ("int", "float")}
    fields = [field for field in spans.schema if field.name not in named.values()]
    arrays = [spans.column(field.name) for field in fields]
    column = pa.array(total, pa.float64(), mask=total == 1.0)
    schema = pa.schema([*fields, pa.field(named["float"], pa.float64())])
    return pa.RecordBatch.from_arrays([*arrays, column], schema=schema)


def leftover(folder: Path, then: Consumer) -> None:
    """Give the store what a sampler that is configured no longer left undecided. Raises: Overloaded, StorageFull."""
    if not folder.exists():
        return
    journal = Journal(folder)
    every = list(journal.replay())
    decided = Remembered(sum(batch.num_rows for _, table, batch in every if table == DECISIONS))
    for _, table, batch in every:
        if table == DECISIONS:
            decided.add(*_decisions(batch))
    for _, table, batch in every:
        if table == SPANS:
            found, weight = decided.find(_keys(batch))
            mask = found != OUT
            if mask.any():
                some = weighted(batch.filter(pa.array(mask)), weight[mask])
                then.consume(Batch(Signal.TRACES, {"spans": some}))
    journal.forget_below(None)


def _decisions(batch: pa.RecordBatch) -> tuple[Words, Mask, Floats]:
    """Keys, whether each is kept, and its weight."""
    keys, kept, weight = (batch.column(name).to_numpy(zero_copy_only=False) for name in DECISION.names)
    return keys, kept, weight
