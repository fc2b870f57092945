"""Ids of parents that a block leaves out: where the parent stands in the block, its position tells its id.

In: sorted spans with their DAG. Out: the column as it is written, and as it was sent. Eight random bytes a span are
a tenth of a block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.tracestore.ids import Words, span_words, trace_words
from obs.tracestore.names import PARENT_POSITION

Rows = npt.NDArray[np.int64]
PARENT_ID = "parent_span_id"
_WHOLE_TRACE = (
    "PARTITION BY filename, trace_id ORDER BY file_row_number ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
)
PARENT_SQL = (
    f"coalesce({PARENT_ID}, nullif(CASE WHEN {PARENT_POSITION} >= 0 "
    f"THEN nth_value(span_id, {PARENT_POSITION} + 1) OVER ({_WHOLE_TRACE}) END, span_id))"
)
"""The same in DuckDB's SQL; it works the window out only where a query asks for the column."""


def parent_rows(starts: Rows, position: npt.NDArray[np.int32]) -> Rows:
    """For each row the row of its parent, -1 where it has none; `starts` are the first rows of traces, then the end."""
    base = np.repeat(starts[:-1], np.diff(starts))
    return np.where(position >= 0, base + position, -1)


def written(span: Words, parent: Words, rows: Rows) -> pa.Array:
    """The column of parent ids without those that `filled` finds again by `rows`, the rows of parents."""
    told = (rows >= 0) & (span[rows] == parent) & (parent != span)
    return id_column(np.where(told, np.uint64(0), parent))


def filled(span: Words, kept: Words, rows: Rows, whole: Words) -> Words:
    """The ids of parents as they were sent; `kept` are those that were written, 0 where none was.

    `rows` are the rows of parents in `whole`, span ids of the block. A server span that shares its client's id has that
    client as parent without naming it.
    """
    found = np.where(rows >= 0, whole[rows], np.uint64(0))
    return np.where((kept != 0) | (found == span), kept, found)


def as_sent(table: pa.Table) -> pa.Table:
    """Rows of one block, whole traces, with the ids of all parents."""
    if PARENT_ID not in table.column_names or PARENT_POSITION not in table.column_names or not table.num_rows:
        return table
    high, low = trace_words(table.column("trace_id"))
    new = np.append(True, (high[1:] != high[:-1]) | (low[1:] != low[:-1]))
    starts = np.append(np.flatnonzero(new), len(high))
    rows = parent_rows(starts, table.column(PARENT_POSITION).to_numpy())
    span = span_words(table.column("span_id"))
    parents = filled(span, span_words(table.column(PARENT_ID)), rows, span)
    place = table.column_names.index(PARENT_ID)
    return table.set_column(place, table.schema.field(place), id_column(parents))


def id_column(ids: Words) -> pa.Array:
    """Span ids as an Arrow column, null where 0."""
    bits: Any = np.packbits(ids != 0, bitorder="little")
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(8), len(ids), [pa.py_buffer(bits), pa.py_buffer(ids.astype(">u8"))]
    )
