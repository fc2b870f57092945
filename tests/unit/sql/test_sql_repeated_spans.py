"""Spans that were sent again: SQL counts them once, wherever they stand, and shows the last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from span_batches import SpanRow, spans_batch

from obs.sql.engine import SqlEngine
from obs.tracestore.store import TraceStore

LINK = {"trace_id": bytes(15) + b"\x09", "span_id": b"\0" * 7 + b"\x09", "trace_state": "", "attributes": "{}"}
FIRST = [SpanRow(t, s, s - 1, name="first", start=s, links=(LINK,)) for t in range(1, 5) for s in (1, 2, 3)]
AGAIN = [SpanRow(t, s, s - 1, name="again", start=s, links=(LINK,)) for t in (2, 3) for s in (2, 3)]
LAST = [SpanRow(3, 3, 2, name="last", start=3, links=(LINK,)), SpanRow(3, 4, 3, name="new", start=4)]
OTHERS = [SpanRow(4, 1, 0, name="later", start=77), SpanRow(4, 2, 1, name="kind", start=2, kind=2)]


@pytest.mark.parametrize("flushed", [(), (0, 1), (0, 1, 2, 3)])
def test_repeated_spans_count_once(tmp_path: Path, flushed: tuple[int, ...]) -> None:
    store = TraceStore(tmp_path / "traces")
    store.open()
    for number, rows in enumerate((FIRST, AGAIN, LAST, OTHERS)):
        store.consume(spans_batch(*rows))
        if number in flushed:
            store.flush()
    sql = SqlEngine([store], tmp_path, 256_000_000, 20)

    def rows(query: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in sql.query(query).to_pylist()]

    assert rows("SELECT name, count(*) FROM spans GROUP BY 1 ORDER BY 1") == [
        ("again", 3), ("first", 8), ("kind", 1), ("last", 1), ("later", 1), ("new", 1),
    ]  # fmt: skip
    assert rows("SELECT count(*) FROM links") == [(12,)]
    assert rows("SELECT right(trace_id, 1), right(parent_span_id, 1) FROM spans WHERE name = 'again' ORDER BY ALL") == [
        ("2", "1"), ("2", "2"), ("3", "1"),
    ]  # fmt: skip
    sql.close()
    store.close()


def test_a_process_goes_on_after_a_query_that_reads_a_head(tmp_path: Path) -> None:
    """What Arrow makes of it is given back, and reserves little."""
    store = TraceStore(tmp_path / "traces")
    store.open()
    store.consume(spans_batch(*(SpanRow(i, 1, start=i, attributes={"k": f"v{i}", "n": i}) for i in range(1, 5000))))
    sql = SqlEngine([store], tmp_path, 256_000_000, 20)
    asked = []
    for _ in range(3):
        assert sql.query("SELECT count(*) AS n FROM spans WHERE \"attr.k\" LIKE 'v%'").to_pylist() == [{"n": 4999}]
        asked.append([worker._process.pid for worker in sql._workers._idle])
    sql.close()
    store.close()
    assert len(asked[0]) == 1
    assert asked[1:] == asked[:1] * 2
