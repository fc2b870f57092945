"""Slices of a selection: together they are the selection, each is small, and a limit is met by smaller slices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from obs.errors import QueryLimit
from obs.model.build import metrics_batch
from obs.model.labels import Matcher, MatchOp, make_labels
from obs.model.ports import SeriesSet
from obs.tsdb.limits import StoreLimits
from obs.tsdb.store import MetricStore

NAMED = [Matcher("__name__", MatchOp.EQ, "m")]
SERIES, SAMPLES = 300, 12


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricStore]:
    """Every second series has samples in a block and the head, the others in either."""
    store = MetricStore(tmp_path / "metrics", limits=StoreLimits(max_rows=20 * SAMPLES))
    store.open()
    for part in range(2):
        rows = [
            (make_labels({"__name__": "m", "i": str(i)}), 1000 * (part * SAMPLES + k), float(i * k))
            for i in range(SERIES)
            for k in range(SAMPLES // 2)
            if i % 2 == 0 or i % 4 == 1 + 2 * part
        ]
        store.consume(metrics_batch([*rows, (make_labels({"__name__": "other"}), 1, 1.0)]))
        if part == 0:
            store.flush()
    yield store
    store.close()


def rows(parts: list[SeriesSet]) -> list[tuple[object, list[int], list[float]]]:
    found = []
    for part in parts:
        for i, labels in enumerate(part.labels):
            at = slice(part.offsets[i], part.offsets[i + 1])
            found.append((labels, part.t_ms[at].tolist(), part.values[at].tolist()))
    return found


def test_slices_are_the_selection_within_its_limit(store: MetricStore) -> None:
    with pytest.raises(QueryLimit):
        store.select(NAMED, 0, 100_000)
    parts = list(store.slices(NAMED, 0, 100_000, samples=5 * SAMPLES))
    assert len(parts) > 20
    assert max(len(part.values) for part in parts) <= 20 * SAMPLES
    found = rows(parts)
    assert [labels for labels, _, _ in found] == sorted(
        make_labels({"__name__": "m", "i": str(i)}) for i in range(SERIES)
    )
    one = Matcher("i", MatchOp.EQ, "7")
    assert rows([store.select([*NAMED, one], 0, 100_000)]) == [row for row in found if dict(row[0])["i"] == "7"]
    assert sum(len(times) for _, times, _ in found) == SERIES * SAMPLES * 3 // 4


def test_a_range_of_time_and_a_single_large_series(store: MetricStore) -> None:
    late = list(store.slices(NAMED, 1000 * SAMPLES, 100_000, samples=SAMPLES))
    assert min(int(part.t_ms.min()) for part in late) == 1000 * SAMPLES
    assert sum(len(part.labels) for part in late) == SERIES * 3 // 4
    big = metrics_batch([(make_labels({"__name__": "big"}), t, 0.0) for t in np.arange(20 * SAMPLES + 1).tolist()])
    store.consume(big)
    with pytest.raises(QueryLimit):
        list(store.slices([Matcher("__name__", MatchOp.EQ, "big")], 0, 100_000))
