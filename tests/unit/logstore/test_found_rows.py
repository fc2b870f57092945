"""What is remembered of line filters: bounded, and the same answers as without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from log_recipes import Record, logs_batch

from obs import warm
from obs.columnar.foundrows import FoundRows
from obs.columnar.limits import FOUND_ROWS_ENTRY_BYTES
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore

BLOCK, OTHER = Path("a"), Path("b")


def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    rows = np.array([1, 2, 70_000])
    found = FoundRows(2 * (4 * len(rows) + FOUND_ROWS_ENTRY_BYTES))
    found.put(BLOCK, 0, "x", rows)
    found.put(BLOCK, 1, "x", rows)
    assert found.get(BLOCK, 0, "x") is not None
    found.put(OTHER, 0, "x", rows)
    kept = {(block, group): found.get(block, group, "x") for block in (BLOCK, OTHER) for group in (0, 1)}
    assert {key: None if held is None else held.tolist() for key, held in kept.items()} == {
        (BLOCK, 0): [1, 2, 70_000], (BLOCK, 1): None, (OTHER, 0): [1, 2, 70_000], (OTHER, 1): None,
    }  # fmt: skip
    assert found.get(BLOCK, 0, "y") is None


def test_rows_larger_than_all_room_are_not_kept() -> None:
    found = FoundRows(10)
    found.put(BLOCK, 0, "x", np.arange(100))
    assert found.get(BLOCK, 0, "x") is None


@pytest.fixture
def logql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogQL:
    """A block of ten row groups."""
    monkeypatch.setattr("obs.logstore.limits.ROW_GROUP_ROWS", 50)
    warm.load_now("obs.logstore.kernels")
    store = LogStore(tmp_path)
    store.open()
    lines = ["took 7ms", "took 123ms", "failed", ""]
    records = [Record(i + 1, lines[i % 4], {"service.name": f"s{i % 3}"}, {"n": i}) for i in range(500)]
    store.consume(logs_batch(records))
    store.flush()
    return LogQL(store)


COUNTS = [
    '{} |= "took"',
    '{} |~ "took [0-9]{3,}ms"',
    '{service_name="s1"} |~ "took [0-9]{3,}ms"',
    '{} |= "took" |= "7"',
]


@pytest.mark.parametrize("query", COUNTS)
@pytest.mark.parametrize("until", [600, 301])
def test_a_filter_asked_again_finds_the_same(
    logql: LogQL, query: str, until: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> list[tuple[int, str, str]]:
        entries = logql.records(query, 0, until, 1000).entries
        return [(entry.time_ns, entry.line, entry.metadata["n"]) for entry in entries]

    whole = logql.records(query, 0, 600, 1000).entries
    expected = [(e.time_ns, e.line, e.metadata["n"]) for e in whole if e.time_ns < until]
    monkeypatch.setattr(
        "obs.logstore.rowgroups.find_texts", lambda *given: pytest.fail("a row group is searched again")
    )
    if "service_name" not in query and query.count("|") == 1:
        assert asked() == expected
        return
    monkeypatch.undo()
    assert asked() == asked() == expected
