"""Ids of parents that blocks leave out come back everywhere: by id, by search, by SQL, after merges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from span_batches import SpanRow, spans_batch, spans_table, trace_id

from obs.tracestore import dag, limits
from obs.tracestore.expressions import Compare, Intrinsic
from obs.tracestore.parent_ids import as_sent, parent_rows, written
from obs.tracestore.query import TraceQuery
from obs.tracestore.spancolumns import span_columns, trace_starts, written_order
from obs.tracestore.store import TraceStore

TWINS = [
    SpanRow(1, 1, 0),
    SpanRow(1, 2, 1, kind=3, start=1),
    SpanRow(1, 2, 0, kind=2, start=2),
    SpanRow(1, 3, 2, start=3),
]
FAULTS = [
    SpanRow(2, 1, 9), SpanRow(2, 2, 2, start=1), SpanRow(2, 3, 4, start=2), SpanRow(2, 4, 3, start=3),
    SpanRow(2, 5, 6, start=4), SpanRow(2, 6, 1, start=5),
]  # fmt: skip
ROWS = [*TWINS, *FAULTS, SpanRow(3, 1), SpanRow(3, 2, 1, start=1), SpanRow(4, 9, 1)]
SENT = sorted((r.trace, r.span, r.kind, r.parent) for r in ROWS)


@pytest.fixture(params=["one block", "two blocks", "merged", "small groups"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TraceStore]:
    if request.param == "small groups":
        monkeypatch.setattr(limits, "ROW_GROUP_ROWS", 2)
    opened = TraceStore(tmp_path / "traces")
    opened.open()
    if request.param in ("one block", "small groups"):
        opened.consume(spans_batch(*ROWS))
    else:
        opened.consume(spans_batch(*ROWS[::2]))
        opened.flush()
        opened.consume(spans_batch(*ROWS[1::2]))
    opened.flush()
    if request.param == "merged":
        opened.engine.compact()
    yield opened
    opened.close()


def test_they_are_read_as_they_were_sent(store: TraceStore) -> None:
    found = []
    for trace in {row.trace for row in ROWS}:
        whole = store.by_id(trace_id(trace))
        assert whole is not None
        for row in whole.table.select(["span_id", "kind", "parent_span_id"]).to_pylist():
            found.append((trace, _number(row["span_id"]), row["kind"], _number(row["parent_span_id"])))
    assert sorted(found) == SENT


def test_sql_shows_them(store: TraceStore) -> None:
    with store.sql_views() as views, duckdb.connect() as connection:
        for name, table in views[0].arrow.items():
            connection.register(name, table)
        connection.execute(f"CREATE VIEW spans AS {views[0].sql}")
        rows = connection.execute("SELECT trace_id, span_id, kind, parent_span_id FROM spans").fetchall()
    assert sorted((int(t, 16), int(s, 16), k, int(p or "0", 16)) for t, s, k, p in rows) == SENT


@pytest.mark.parametrize("parent", [1, 2, 4, 9])
def test_they_are_searched(store: TraceStore, parent: int) -> None:
    where = Compare(Intrinsic("span:parentID"), "=", f"{parent:016x}")
    found = store.search(TraceQuery(where=where))
    assert {int.from_bytes(t.trace_id) for t in found.traces} == {r.trace for r in ROWS if r.parent == parent}


def test_a_block_holds_few_of_them(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces")
    store.open()
    store.consume(spans_batch(*ROWS))
    store.flush()
    with store.view() as view:
        path = view.blocks[0].path("spans")
        assert path is not None
        kept = {_number(v) for v in pq.read_table(path)["parent_span_id"].to_pylist()}
    store.close()
    assert kept == {0, 9, 2, 4, 1}, "missing ones, itself, and where a cycle was cut"


SPAN = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(0, 7), st.integers(0, 5), st.integers(0, 9))


@given(spans=st.lists(SPAN, min_size=1, max_size=30))
def test_what_is_left_out_is_told(spans: list[tuple[int, int, int, int, int]]) -> None:
    table = spans_table(SpanRow(t, s, p, kind=k, start=at) for t, s, p, k, at in spans)
    columns = span_columns(table)
    order = written_order(columns)
    columns = columns.take(order)
    starts = trace_starts(columns)
    links = dag.build(columns, starts)
    rows = parent_rows(starts, links.parent)
    place = table.schema.get_field_index("parent_span_id")
    short = pa.Table.from_batches([table.take(pa.array(order))]).set_column(
        place, table.schema.field(place), written(columns.span, columns.parent, rows)
    )
    short = short.append_column("parent_position", pa.array(links.parent))
    assert np.array_equal(span_columns(as_sent(short)).parent, columns.parent)


def _number(id_: bytes | None) -> int:
    return int.from_bytes(id_ or b"")
