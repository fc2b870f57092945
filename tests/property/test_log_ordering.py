"""Rows in another order, some at a time, are those that Arrow takes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obs import warm
from obs.logstore.ordering import OrderedRows

FIELDS: dict[str, tuple[pa.DataType, st.SearchStrategy[object]]] = {
    "body": (pa.string(), st.text(max_size=12)),
    "time_ns": (pa.int64(), st.integers(-(1 << 63), (1 << 63) - 1)),
    "severity": (pa.uint8(), st.integers(0, 255)),
    "ratio": (pa.float64(), st.floats(allow_nan=False)),
    "trace_id": (pa.binary(16), st.binary(min_size=16, max_size=16)),
    "raw": (pa.binary(), st.binary(max_size=5)),
    "ok": (pa.bool_(), st.booleans()),
    "pod": (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["a", "b", "c", ""])),
    "more": (pa.map_(pa.string(), pa.string()), st.lists(st.tuples(st.just("k"), st.text(max_size=3)), max_size=2)),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Chunks of their own lengths and offsets, columns with and without nulls."""
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, unique=True))
    nullable = {name: draw(st.sampled_from(["never", "some", "always"])) for name in names}
    batches = []
    for _ in range(draw(st.integers(1, 4))):
        rows, cut = draw(st.integers(0, 12)), draw(st.integers(0, 3))
        columns = []
        for name in names:
            kind, values = FIELDS[name]
            given_ = {"never": values, "some": st.none() | values, "always": st.none()}[nullable[name]]
            found = draw(st.lists(given_, min_size=rows + cut, max_size=rows + cut))
            columns.append(pa.array(found, kind).slice(cut))
        batches.append(pa.RecordBatch.from_arrays(columns, names))
    return pa.Table.from_batches(batches)


@pytest.mark.parametrize("compiled", [True, False])
@given(tables(), st.data())
@settings(max_examples=120, deadline=None)
def test_rows_in_another_order_are_those_arrow_takes(compiled: bool, table: pa.Table, data: st.DataObject) -> None:
    warm.load_now("obs.logstore.kernels")
    order = np.array(data.draw(st.permutations(range(table.num_rows))), np.int64)
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr("obs.logstore.ordering.warm.ready", lambda module: False)
        parts = list(OrderedRows(table, order).parts(data.draw(st.integers(1, 9))))
    expected = table.take(pa.array(order))
    assert [row for part in parts for row in part.to_pylist()] == expected.to_pylist()
    for part in parts:
        part.validate(full=True)
        assert part.schema == table.schema
        assert [c.null_count for c in part.columns] == [sum(v is None for v in c.to_pylist()) for c in part.columns]
