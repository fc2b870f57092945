"""Native histograms on disk and in batches: rows of their own beside the samples that hold their counts.

A sample is a histogram if a row of `histograms` has its series, its time and its value as count; so a float written
later over a histogram stands, and everything that asks only for samples needs to know nothing of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.view import View
from obs.model.schema import HISTOGRAMS as SCHEMA
from obs.tsdb import beside
from obs.tsdb.filenames import HISTOGRAMS
from obs.tsdb.index import SeriesIndex
from obs.tsdb.promql.histogram import CUSTOM_SCHEMA, GAUGE, NOT_RESET, RESET, UNKNOWN, Histogram

HINTS = (UNKNOWN, RESET, NOT_RESET, GAUGE)
Mask = npt.NDArray[np.bool_]
Row = tuple[int, int, Histogram]  # ordinal, t_ms


def to_rows(series_ids: Sequence[int], times_ms: Sequence[int], values: Sequence[Histogram]) -> pa.RecordBatch:
    """Histograms as rows of a batch."""
    rows = []
    for series_id, t_ms, h in zip(series_ids, times_ms, values, strict=True):
        positive, negative = dense(h.positive), dense(h.negative)
        custom = list(h.custom_values) if h.is_custom else None
        numbers = (h.schema, h.count, h.sum, h.zero_threshold, h.zero_count)
        rows.append((series_id, t_ms, *numbers, *positive, *negative, custom, HINTS.index(h.hint)))
    columns = zip(*rows, strict=True) if rows else [[] for _ in SCHEMA]
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def dense(counts: Mapping[int, float]) -> tuple[int, list[float]]:
    """Counts by index as the first index and a list without gaps."""
    if not counts:
        return 0, []
    first, last = min(counts), max(counts)
    return first, [counts.get(i, 0.0) for i in range(first, last + 1)]


def read(view: View, index: SeriesIndex, chosen: Mask, start_ms: int, end_ms: int) -> Iterator[Row]:
    """Histograms of the chosen series in start..end, those written later last."""
    for table in beside.tables(view, HISTOGRAMS, start_ms, end_ms):
        yield from _rows(table, index, chosen, start_ms, end_ms)


def _rows(table: pa.Table, index: SeriesIndex, chosen: Mask, start_ms: int, end_ms: int) -> Iterator[Row]:
    if not table.num_rows:
        return
    wanted, ordinals, t_ms = beside.wanted(table, index, chosen, start_ms, end_ms)
    rows = table.filter(pa.array(wanted)).select(SCHEMA.names[2:])
    columns = [rows.column(name).to_pylist() for name in rows.column_names]
    for ordinal, t, *values in zip(ordinals.tolist(), t_ms.tolist(), *columns, strict=True):
        yield ordinal, t, _histogram(*values)


def _histogram(
    schema: int, count: float, sum_: float, zero_threshold: float, zero_count: float, positive_offset: int,
    positive: Sequence[float], negative_offset: int, negative: Sequence[float], custom: Sequence[float] | None,
    hint: int,
) -> Histogram:  # fmt: skip
    return Histogram(
        schema, count, sum_, zero_threshold, zero_count, _sparse(positive_offset, positive),
        _sparse(negative_offset, negative), tuple(custom or ()) if schema == CUSTOM_SCHEMA else (), HINTS[hint],
    )  # fmt: skip


def _sparse(first: int, counts: Sequence[float]) -> dict[int, float]:
    return {first + i: c for i, c in enumerate(counts) if c != 0}
