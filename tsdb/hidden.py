"""The series of a block with deletes: which still have samples, and from when to when. Worked out once a delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from obs.columnar.block import Block
from obs.tsdb.filenames import EXEMPLARS, SAMPLES
from obs.tsdb.growing import ranges
from obs.tsdb.index import SeriesIndex
from obs.tsdb.rows import whole
from obs.tsdb.tombstones import Deleted, without

if TYPE_CHECKING:
    from obs.tsdb.blocks import BlockSeries

I64 = npt.NDArray[np.int64]
_LEAST, _GREATEST = -(1 << 63), (1 << 63) - 1


def visible(block: Block, series: BlockSeries, index: SeriesIndex) -> BlockSeries:
    """`series` as the block's tombstones leave them; times are exact, rows stay where they are."""
    deleted = Deleted.of(block.tombstones)
    deleted = deleted.with_keys(index.ordinals(deleted.keys))
    gone = deleted.has(series.ordinals)
    if not gone.any():
        return series
    touched = np.flatnonzero(gone & (series.counts > 0))
    gone[touched] = deleted.hides(series.ordinals[touched], *series.times(touched))
    partly = touched[~gone[touched]]
    min_ms, max_ms = series.times(slice(None))
    if len(partly):
        bounds = _bounds(block, series, partly, deleted)
        if bounds is None:
            return series
        min_ms[partly], max_ms[partly], gone[partly] = bounds
    return series.with_times(min_ms, max_ms, gone, deleted)


def _bounds(
    block: Block, series: BlockSeries, at: I64, deleted: Deleted
) -> tuple[I64, I64, npt.NDArray[np.bool_]] | None:
    """First and last visible time of the series at some positions, and which have none; None of a damaged block."""
    first_rows, ends = series.rows(at)
    counts = ends - first_rows
    t_ms = _times(block, series, ranges(first_rows, counts))
    if t_ms is None:
        return None
    hidden = deleted.hides(np.repeat(series.ordinals[at], counts), t_ms)
    begins = np.cumsum(counts) - counts
    first = np.minimum.reduceat(np.where(hidden, _GREATEST, t_ms), begins)
    last = np.maximum.reduceat(np.where(hidden, _LEAST, t_ms), begins)
    return first, last, np.logical_and.reduceat(hidden, begins)


def _times(block: Block, series: BlockSeries, rows: I64) -> I64 | None:
    """The times of some rows (rising), of which only the row groups that they are in are read."""
    group_of = np.searchsorted(series.group_starts, rows, "right") - 1
    groups, at = np.unique(group_of, return_inverse=True)
    try:
        with pq.ParquetFile(block.path(SAMPLES), metadata=series.footer) as file:
            read = [_group_times(file, group) for group in groups.tolist()]
    except (OSError, pa.ArrowException):
        if block.sound():
            raise
        return None
    begins = np.cumsum([0, *map(len, read[:-1])])
    return np.concatenate(read)[rows - series.group_starts[groups][at] + begins[at]]


def _group_times(file: pq.ParquetFile, group: int) -> I64:
    return whole(file.read_row_group(group, columns=["t_ms"], use_threads=False).column("t_ms"))


def series_gone(block: Block, series: BlockSeries, index: SeriesIndex) -> npt.NDArray[np.uint64]:
    """Ids of the block's series of which deletes left neither samples nor exemplars."""
    if series.gone is None:
        return np.empty(0, np.uint64)
    ids = index.ids(series.ordinals[series.gone])
    exemplars = without(block.read(EXEMPLARS, columns=["series_id", "t_ms"]), block.tombstones)
    return ids[~np.isin(ids, whole(exemplars.column("series_id")))] if exemplars.num_rows else ids
