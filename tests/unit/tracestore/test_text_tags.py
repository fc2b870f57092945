"""Tags that are texts, found by pages of blocks: the same traces as in the head, and again when they are remembered."""

from __future__ import annotations

from pathlib import Path

import pytest
from span_batches import SpanRow, spans_batch

from obs import warm
from obs.tracestore.expressions import Attribute, Compare
from obs.tracestore.query import TraceQuery
from obs.tracestore.store import TraceStore

QUESTIONS = [
    TraceQuery(tags={"user": "u7"}, limit=100),  # hardly repeats: plain pages
    TraceQuery(tags={"user": "u7", "tier": "t1"}, limit=100),
    TraceQuery(tags={"tier": "t1"}, limit=100),  # repeats: codes
    TraceQuery(tags={"tier": "t"}, limit=100),
    TraceQuery(tags={"user": "u999999"}, limit=100),
    TraceQuery(tags={"mixed": "7"}, limit=100),  # a text here, a number there
    TraceQuery(where=Compare(Attribute("attr", "mixed"), "=", "7"), limit=100),
]


def _rows() -> list[SpanRow]:
    rows = []
    for i in range(1, 3000):
        attributes: dict[str, object] = {"user": f"u{i % 1500}", "mixed": i if i % 2 else str(i)}
        if i % 3:
            attributes["tier"] = f"t{i % 40}"
        rows.append(SpanRow(i, 1, start=i, attributes=attributes))
    return rows


@pytest.mark.parametrize("compiled", [False, True])
def test_blocks_answer_as_the_head_does(tmp_path: Path, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    warm.load_now("obs.tracestore.kernels")
    if not compiled:
        monkeypatch.setattr("obs.tracestore.textpages.KERNELS", "none")
    store = TraceStore(tmp_path / "traces")
    store.open()
    store.consume(spans_batch(*_rows()))
    in_head = [[t.trace_id for t in store.search(q).traces] for q in QUESTIONS]
    store.flush()
    assert [len(ids) for ids in in_head[:5]] == [2, 0, 50, 0, 0]
    for _ in range(2):
        assert [[t.trace_id for t in store.search(q).traces] for q in QUESTIONS] == in_head
    store.close()
