"""The newest traces are found without reading older blocks, and pages go on through all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from span_batches import SpanRow, spans_batch

from obs.tracestore import limits
from obs.tracestore.query import TraceQuery
from obs.tracestore.store import TraceStore


@pytest.mark.parametrize("a_thread", [3, 100])
@pytest.mark.parametrize("split", [False, True])
def test_older_blocks_are_read_when_their_turn_comes(
    tmp_path: Path, split: bool, a_thread: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ROWS_A_THREAD", a_thread)  # blocks are read in pieces, or whole
    store = TraceStore(tmp_path / "traces")
    store.open()
    for block in range(5):
        rows = [SpanRow(10 * block + i, 1, start=1000 * block + i, attributes={"k": i % 2}) for i in range(1, 9)]
        if split and block == 4:
            rows.append(SpanRow(1, 2, 1, start=4500, attributes={"k": 1}))
        store.consume(spans_batch(*rows))
        store.flush()
    first = store.search(TraceQuery(tags={"k": "1"}, limit=3))
    assert [int.from_bytes(t.trace_id) for t in first.traces] == [47, 45, 43]
    assert (first.stats.blocks_read, first.stats.blocks_skipped) == (2, 3)
    found, after = [], None
    while True:
        page = store.search(TraceQuery(tags={"k": "1"}, limit=3, after=after))
        found += [int.from_bytes(t.trace_id) for t in page.traces]
        after = page.next
        if after is None:
            break
    assert found == [10 * block + i for block in range(4, -1, -1) for i in (7, 5, 3, 1)]
    store.close()
