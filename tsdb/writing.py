"""Sorted samples as the two files of a block: values scaled and written slice by slice, then the series with where
their rows are. A slice is whole series, so that memory does not grow with the block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.layout import BlockWriter
from obs.tsdb import decimals, labelfile
from obs.tsdb.blocks import NO_SERIES, BlockSeries, metric_runs
from obs.tsdb.filenames import LABELS, SAMPLES, SERIES
from obs.tsdb.index import SeriesIndex
from obs.tsdb.limits import ROW_GROUP_ROWS, SERIES_GROUP_ROWS, SLICE_ROWS
from obs.tsdb.rows import SampleRows
from obs.tsdb.sorting import sort_rows

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

SAMPLE_OPTIONS = {
    "use_dictionary": ["ordinal", "scale"],
    "column_encoding": {
        "t_ms": "DELTA_BINARY_PACKED",
        "value_int": "DELTA_BINARY_PACKED",
        "value_double": "BYTE_STREAM_SPLIT",
    },
    "write_statistics": ["ordinal", "t_ms", "value_int"],
}


SERIES_OPTIONS = {
    "use_dictionary": ["metric", "labels.key_value.key", "rows", "scale", "min_ms", "max_ms"],
    "column_encoding": {
        "ordinal": "DELTA_BINARY_PACKED",
        "labels.key_value.value": "DELTA_BYTE_ARRAY",
        "first_row": "DELTA_BINARY_PACKED",
    },
}
"""Values of labels without a dictionary: most of many series are an id of a kind, and zstd finds the others again."""


def write_samples(
    rows: SampleRows, rank: I32, series: npt.NDArray[Any], index: SeriesIndex, out: BlockWriter
) -> tuple[BlockSeries, Mapping[str, Any]]:
    """Write the rows by rank, then time, of equal ones the last; `series`: the ordinal of each rank.

    Returns the series as queries find them, and facts for meta.json.
    """
    order, counts = sort_rows(rank, rows.t_ms, len(series))
    slices = Slices(rows, order, counts)
    if len(order):
        out.parquet_parts(SAMPLES, slices.tables(), row_group_rows=ROW_GROUP_ROWS, **SAMPLE_OPTIONS)
    facts = {"series": len(series), "overwritten": len(rows.t_ms) - len(order), "doubles": slices.misfits}
    if not len(series):
        return NO_SERIES, facts
    table = _series_table(index, series, slices)
    out.parquet(SERIES, table, row_group_rows=SERIES_GROUP_ROWS, **SERIES_OPTIONS)
    times = slices.min_ms, slices.max_ms
    if len(order):
        out.parquet(LABELS, labelfile.table(index, series, counts > 0, times), row_group_rows=SERIES_GROUP_ROWS)
    scales = np.maximum(slices.scales, 0).astype(np.int8)
    runs = metric_runs(table.column("metric").combine_chunks())
    return BlockSeries.of(series.astype(np.int32), slices.offsets[:-1], counts, scales, times, runs), facts


class Slices:
    """Samples in the order of a block, made into tables one after the other; then what was learned of each series."""

    def __init__(self, rows: SampleRows, order: I64, counts: I64) -> None:
        self._rows, self._order, self._counts = rows, order, counts
        self.offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        self.scales = np.zeros(len(counts), np.int32)
        self.min_ms, self.max_ms = np.zeros(len(counts), np.int64), np.zeros(len(counts), np.int64)
        self.misfits = 0

    def tables(self) -> Iterator[pa.Table]:
        """About `SLICE_ROWS` rows each, of whole series."""
        ends = np.searchsorted(self.offsets, np.arange(SLICE_ROWS, len(self._order), SLICE_ROWS))
        bounds = np.unique([0, *ends.tolist(), len(self._counts)])
        for first, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            if self.offsets[stop] > self.offsets[first]:
                yield self._table(first, stop)

    def _table(self, first: int, stop: int) -> pa.Table:
        """The samples of series first:stop."""
        offsets, counts = self.offsets[first : stop + 1], self._counts[first:stop]
        order = self._order[offsets[0] : offsets[-1]]
        t_ms, values = self._rows.t_ms[order], self._rows.values[order]
        offsets = offsets - offsets[0]
        scaled = decimals.scale(values, offsets)
        ints, doubles = decimals.to_columns(values, scaled)
        self._note(slice(first, stop), t_ms, offsets, scaled)
        columns = {
            "ordinal": np.repeat(np.arange(first, stop, dtype=np.uint32), counts),
            "t_ms": t_ms,
            "value_int": ints,
            "value_double": doubles,
            "scale": np.repeat(np.maximum(scaled.scales, 0).astype(np.int8), counts),
        }
        return pa.table(columns)

    def _note(self, at: slice, t_ms: I64, offsets: I64, scaled: decimals.Scaled) -> None:
        self.scales[at] = scaled.scales
        some = np.diff(offsets) > 0
        self.min_ms[at][some], self.max_ms[at][some] = t_ms[offsets[:-1][some]], t_ms[offsets[1:][some] - 1]
        self.misfits += 0 if scaled.inexact is None else int(scaled.inexact.sum())


def _series_table(index: SeriesIndex, series: npt.NDArray[Any], slices: Slices) -> pa.Table:
    known = index.to_arrow(series)
    counts = np.diff(slices.offsets)
    empty = counts == 0
    columns = {
        "ordinal": np.arange(len(series), dtype=np.uint32),
        "series_id": known.column("series_id"),
        "metric": index.metrics(series),
        "labels": known.column("labels"),
        "first_row": slices.offsets[:-1],
        "rows": counts,
        "scale": pa.array(slices.scales.astype(np.int8), mask=slices.scales < 0),
        "min_ms": pa.array(slices.min_ms, mask=empty),
        "max_ms": pa.array(slices.max_ms, mask=empty),
    }
    return pa.table(columns)
