"""Sorted samples as the two files of a block: values scaled and written slice by slice, then the series with where
their rows are. A slice is whole series, so that memory does not grow with the block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
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
F64 = npt.NDArray[np.float64]

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


@dataclass(frozen=True, slots=True)
class Part:
    """Samples of some series that follow each other in a block, in its order, each (series, time) once."""

    first: int  # rank of the first series
    counts: I64  # rows of each
    t_ms: I64
    values: F64


def sorted_parts(rows: SampleRows, rank: I32, series: int) -> Iterator[Part]:
    """Rows of so many series by rank, then time, of equal ones the last: about `SLICE_ROWS` a part."""
    order, counts = sort_rows(rank, rows.t_ms, series)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    ends = np.searchsorted(offsets, np.arange(SLICE_ROWS, len(order), SLICE_ROWS))
    bounds = np.unique([0, *ends.tolist(), series]).tolist()
    for first, stop in pairwise(bounds):
        at = order[offsets[first] : offsets[stop]]
        yield Part(first, counts[first:stop], rows.t_ms[at], rows.values[at])


def write_samples(
    parts: Iterable[Part], rows_in: int, series: npt.NDArray[Any], index: SeriesIndex, out: BlockWriter
) -> tuple[BlockSeries, Mapping[str, Any]]:
    """Write the parts as they come, made of so many rows; `series`: the ordinal of each rank.

    Returns the series as queries find them, and facts for meta.json.
    """
    slices = Slices(len(series))
    if rows_in:
        out.parquet_parts(SAMPLES, slices.tables(parts), row_group_rows=ROW_GROUP_ROWS, **SAMPLE_OPTIONS)
    counts = slices.counts
    kept = int(counts.sum())
    facts = {"series": len(series), "overwritten": rows_in - kept, "doubles": slices.misfits}
    if not len(series):
        return NO_SERIES, facts
    table = _series_table(index, series, slices)
    out.parquet(SERIES, table, row_group_rows=SERIES_GROUP_ROWS, **SERIES_OPTIONS)
    times = slices.min_ms, slices.max_ms
    if kept:
        out.parquet(LABELS, labelfile.table(index, series, counts > 0, times), row_group_rows=SERIES_GROUP_ROWS)
    scales = np.maximum(slices.scales, 0).astype(np.int8)
    runs = metric_runs(table.column("metric"))
    first_rows = np.cumsum(counts) - counts
    return BlockSeries.of(series.astype(np.int32), first_rows, counts, scales, times, runs), facts


class Slices:
    """Parts made into tables one after the other; then what was learned of each series."""

    def __init__(self, series: int) -> None:
        self.counts = np.zeros(series, np.int64)
        self.scales = np.zeros(series, np.int32)
        self.min_ms, self.max_ms = np.zeros(series, np.int64), np.zeros(series, np.int64)
        self.misfits = 0

    def tables(self, parts: Iterable[Part]) -> Iterator[pa.Table]:
        """A table for each part that has rows."""
        for part in parts:
            if len(part.t_ms):
                yield self._table(part)

    def _table(self, part: Part) -> pa.Table:
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(part.counts)])
        scaled = decimals.scale(part.values, offsets)
        ints, doubles = decimals.to_columns(part.values, scaled)
        self._note(part, offsets, scaled)
        stop = part.first + len(part.counts)
        columns = {
            "ordinal": np.repeat(np.arange(part.first, stop, dtype=np.uint32), part.counts),
            "t_ms": part.t_ms,
            "value_int": ints,
            "value_double": doubles,
            "scale": np.repeat(np.maximum(scaled.scales, 0).astype(np.int8), part.counts),
        }
        return pa.table(columns)

    def _note(self, part: Part, offsets: I64, scaled: decimals.Scaled) -> None:
        at = slice(part.first, part.first + len(part.counts))
        self.counts[at], self.scales[at] = part.counts, scaled.scales
        some = part.counts > 0
        self.min_ms[at][some], self.max_ms[at][some] = part.t_ms[offsets[:-1][some]], part.t_ms[offsets[1:][some] - 1]
        self.misfits += 0 if scaled.inexact is None else int(scaled.inexact.sum())


def _series_table(index: SeriesIndex, series: npt.NDArray[Any], slices: Slices) -> pa.Table:
    known = index.to_arrow(series)
    counts = slices.counts
    empty = counts == 0
    columns = {
        "ordinal": np.arange(len(series), dtype=np.uint32),
        "series_id": known.column("series_id"),
        "metric": index.metrics(series),
        "labels": known.column("labels"),
        "first_row": np.cumsum(counts) - counts,
        "rows": counts,
        "scale": pa.array(slices.scales.astype(np.int8), mask=slices.scales < 0),
        "min_ms": pa.array(slices.min_ms, mask=empty),
        "max_ms": pa.array(slices.max_ms, mask=empty),
    }
    return pa.table(columns)
