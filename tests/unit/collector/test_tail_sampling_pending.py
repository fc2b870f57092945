"""What waits for a decision: decided traces are taken out of it together, and the others wait on."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa

from obs.collector.processors.sampling.pending import Pending, entry

TRACES, SPANS = 40_000, 10


def test_many_decided_traces_of_one_batch_are_taken_at_once() -> None:
    keys = np.tile(np.arange(1, TRACES + 1, dtype=np.uint64), SPANS)
    spans = pa.record_batch({"row": pa.array(np.arange(len(keys)))})
    pending = Pending()
    pending.add(entry(spans, keys, 0.0, 1))
    pending.add(entry(spans, keys, 1.0, 1))
    decided = np.arange(2, TRACES + 1, 2, dtype=np.uint64)
    began = time.monotonic()
    taken, early = pending.take(-1.0, 1 << 40, decided)
    assert time.monotonic() - began < 10  # one by one they take minutes, and all who send wait
    assert taken is not None
    assert (taken.due.keys.tolist(), early) == (decided.tolist(), 0)
    assert set(taken.due.spans.tolist()) == {2 * SPANS}
    assert pending.rows == len(keys)
    assert (list(pending.find(2)), [found.num_rows for found in pending.find(3)]) == ([], [SPANS, SPANS])
    rest, _ = pending.take(0.0, 1 << 40, decided)
    assert rest is not None
    assert rest.due.keys.tolist() == list(range(1, TRACES + 1, 2))
    assert (pending.rows, pending.nbytes, pending.oldest) == (0, 0, None)
