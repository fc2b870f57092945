"""What waits for a decision, against a plain list of rows: which traces are due, whatever the order they come in."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from obs.collector.processors.sampling.pending import Pending, Taken, entry

Row = tuple[int, int]
NONE = np.zeros(0, np.uint64)


def batch(keys: list[int], first: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"row": list(range(first, first + len(keys)))})


def rows_of(taken: Taken | None) -> set[Row]:
    """(trace, row) of all that was taken."""
    if taken is None:
        return set()
    rows = [row for some in taken.due.batches for row in some.column("row").to_pylist()]
    return set(zip(taken.due.keys[taken.due.group].tolist(), rows, strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_takes_what_a_plain_list_would(seed: int) -> None:
    chance, pending = random.Random(seed), Pending()
    waiting: dict[int, list[tuple[float, int]]] = {}  # trace → (when it came, row)
    row = 0
    for now in range(60):
        keys = [chance.randrange(30) + 2**63 for _ in range(chance.randrange(12))]
        pending.add(entry(batch(keys, row), np.array(keys, np.uint64), float(now), now))
        for key in keys:
            waiting.setdefault(key, []).append((float(now), row))
            row += 1
        asked = chance.choice(sorted(waiting)) if waiting else 1
        found = {r for some in pending.find(asked) for r in some.column("row").to_pylist()}
        assert found == {r for _, r in waiting.get(asked, [])}
        decided = sorted(chance.sample(sorted(waiting), min(len(waiting), chance.choice([0, 0, 2]))))
        before = now - chance.randrange(3, 9)
        due = {key for key, rows in waiting.items() if min(rows)[0] <= before} | set(decided)
        taken, early = pending.take(before, 1 << 40, np.array(decided, np.uint64))
        assert early == 0
        assert rows_of(taken) == {(key, r) for key in due for _, r in waiting[key]}
        if taken is not None and chance.random() < 0.3:
            pending.put_back(taken)
            for key in due:
                waiting[key] = [(-np.inf, r) for _, r in waiting[key]]
        else:
            waiting = {key: rows for key, rows in waiting.items() if key not in due}
        assert pending.rows == sum(map(len, waiting.values()))
        assert (pending.oldest is None) == (pending.nbytes == 0) == (not waiting)
    taken, _ = pending.take(np.inf, 1 << 40, NONE)
    assert rows_of(taken) == {(key, r) for key, rows in waiting.items() for _, r in rows}
    assert (pending.rows, pending.nbytes, pending.oldest) == (0, 0, None)


def test_past_its_memory_the_first_that_came_go_early() -> None:
    pending = Pending()
    for now in range(10):
        keys = [now, now + 1]
        pending.add(entry(batch(keys, 2 * now), np.array(keys, np.uint64), float(now), now))
    most = pending.nbytes // 2
    taken, early = pending.take(-1.0, most, NONE)
    assert {key for key, _ in rows_of(taken)} == set(range(early))
    assert 0 < early < 11
    assert pending.nbytes <= most
