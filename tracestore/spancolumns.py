"""The few columns of spans that order, DAG and summaries need, as numpy arrays; text as codes into a list.

In: an Arrow table of spans. Out: `SpanColumns`, in the table's order or in any other.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.tracestore.ids import Words, span_words, trace_words
from obs.tracestore.names import HOST, SERVICE

Codes = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
Small = npt.NDArray[np.uint8]

NEEDED = ("trace_id", "span_id", "parent_span_id", "kind", "start_ns", "end_ns", "status_code", "name", SERVICE, HOST)


@dataclass(frozen=True, slots=True)
class SpanColumns:
    """One entry a span in each array. Codes are -1 where there is no text."""

    high: Words
    low: Words
    span: Words
    parent: Words  # 0: a root
    kind: Small
    start: Times
    end: Times
    status: Small
    name: Codes
    service: Codes
    clock: Codes  # equal where spans share one: see `names.HOST`
    names: list[str]
    services: list[str]

    def __len__(self) -> int:
        return len(self.high)

    @property
    def duration(self) -> Times:
        """End minus start; 0 where the end comes first."""
        return np.maximum(self.end - self.start, 0)

    def take(self, rows: npt.NDArray[Any]) -> SpanColumns:
        """These rows, in this order."""
        arrays = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in ("names", "services")}
        return replace(self, **arrays)


def flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array of a column; a dictionary is unified."""
    if isinstance(column, pa.Array):
        return column
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    array = column.combine_chunks()
    return array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)


def codes_of(column: pa.ChunkedArray | pa.Array | None, rows: int) -> tuple[Codes, list[str]]:
    """A text column as codes into a list of distinct values, -1 where null."""
    if column is None:
        return np.full(rows, -1, np.int32), []
    array = flat(column)
    if pa.types.is_null(array.type):
        return np.full(rows, -1, np.int32), []
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = array.indices
    found = (codes.fill_null(-1) if codes.null_count else codes).to_numpy(zero_copy_only=False).astype(np.int32)
    return _distinct(found, array.dictionary.to_pylist())


def _distinct(codes: Codes, values: list[str | None]) -> tuple[Codes, list[str]]:
    """Codes into values that differ and are text: a dictionary may repeat a value, or hold a null."""
    known = dict.fromkeys(v for v in values if v is not None)
    if len(known) == len(values):
        return codes, list(known)
    place = {value: i for i, value in enumerate(known)}
    table = np.array([*(-1 if v is None else place[v] for v in values), -1], np.int32)
    return table[codes], list(known)


def _small(table: pa.Table, name: str) -> Small:
    if name not in table.column_names:
        return np.zeros(table.num_rows, np.uint8)
    column = table.column(name)
    return (column.fill_null(0) if column.null_count else column).to_numpy().astype(np.uint8, copy=False)


def span_columns(table: pa.Table) -> SpanColumns:
    """The narrow columns of a table of spans."""
    rows, has = table.num_rows, table.column_names
    high, low = trace_words(table.column("trace_id"))
    name, names = codes_of(table.column("name") if "name" in has else None, rows)
    service, services = codes_of(table.column(SERVICE) if SERVICE in has else None, rows)
    parent = span_words(table.column("parent_span_id")) if "parent_span_id" in has else np.zeros(rows, np.uint64)
    return SpanColumns(
        high, low, span_words(table.column("span_id")), parent, _small(table, "kind"),
        table.column("start_ns").to_numpy(), table.column("end_ns").to_numpy(), _small(table, "status_code"),
        name, service, _clock(table, service), names, services,
    )  # fmt: skip


def _clock(table: pa.Table, service: Codes) -> Codes:
    """A code for the host of each span, where that is told, else for its service."""
    host, hosts = codes_of(table.column(HOST) if HOST in table.column_names else None, table.num_rows)
    return np.where(host >= 0, host, len(hosts) + 1 + service).astype(np.int32)


def written_order(columns: SpanColumns) -> npt.NDArray[np.int64]:
    """Rows sorted by (trace id, start, span id, kind); of rows equal in all four only the last written is kept.

    Those are retries of one span, or a span sent again with more in it.
    """
    c = columns
    order = np.lexsort((c.start, c.low, c.high))
    tied = _same(order, c.start, c.low, c.high)
    if not tied.any():
        return order
    order = np.lexsort((c.kind, c.span, c.start, c.low, c.high))
    repeated = _same(order, c.start, c.low, c.high, c.span, c.kind)
    return order[~np.append(repeated, False)]


def _same(order: npt.NDArray[np.int64], *arrays: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each row but the last, in this order, equals the one after it."""
    same = np.ones(max(len(order) - 1, 0), bool)
    for array in arrays:
        ordered = array[order]
        same &= ordered[1:] == ordered[:-1]
    return same


def trace_starts(columns: SpanColumns) -> npt.NDArray[np.int64]:
    """Of sorted columns: the first row of each trace, and the number of rows: int64[traces + 1]."""
    n = len(columns)
    if not n:
        return np.zeros(1, np.int64)
    new = (columns.high[1:] != columns.high[:-1]) | (columns.low[1:] != columns.low[:-1])
    return np.concatenate([[0], np.flatnonzero(new) + 1, [n]]).astype(np.int64)
