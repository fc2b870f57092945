"""Samples as the store sees them: three arrays, from a head (series ids) or from blocks (ordinals of each block)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.tsdb import decimals
from obs.tsdb.index import SeriesIndex


@dataclass(frozen=True, slots=True)
class SampleRows:
    """Samples in the order they were written; ordinals are the index's."""

    ordinals: npt.NDArray[np.int32]
    t_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


def head_rows(samples: pa.Table, index: SeriesIndex) -> tuple[SampleRows, int]:
    """A head's samples, and how many had to be left out since the index does not know their series."""
    if not samples.num_rows:
        return SampleRows(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0)), 0
    ids, t_ms, values = (whole(samples.column(name)) for name in ("series_id", "t_ms", "value"))
    ordinals = index.ordinals(ids)
    known = ordinals >= 0
    if known.all():
        return SampleRows(ordinals, t_ms, values), 0
    return SampleRows(ordinals[known], t_ms[known], values[known]), int((~known).sum())


def block_rows(samples: pa.Table, series: pa.Table, index: SeriesIndex) -> SampleRows:
    """Samples of several blocks below each other, by their series tables in the same order.

    Ordinals of different blocks mean different series, but `rows` says how many samples each series has, in order.
    """
    counts = series.column("rows").to_numpy()
    ordinals = np.repeat(index.ordinals(whole(series.column("series_id"))), counts)
    powers = np.repeat(decimals.POWERS[series.column("scale").fill_null(0).to_numpy()], counts)
    values = decimals.from_columns(samples.column("value_int"), samples.column("value_double"), powers)
    return SampleRows(ordinals, whole(samples.column("t_ms")), values)


def whole(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """A column without nulls as one numpy array, every bit as it was."""
    chunks = [chunk.to_numpy() for chunk in column.chunks if len(chunk)]
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate(chunks) if chunks else column.to_numpy()
