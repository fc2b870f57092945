"""Start timestamps on disk and in batches: rows of their own beside the samples that have one. Most stores have none.

What began to be counted anew has a start after the sample before; rates use it where a query asks for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.view import View
from obs.model.schema import STARTS as SCHEMA
from obs.tsdb.filenames import STARTS
from obs.tsdb.index import SeriesIndex
from obs.tsdb.rows import whole
from obs.tsdb.sorting import sort_rows
from obs.tsdb.tombstones import without

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def in_order(table: pa.Table, index: SeriesIndex, rank: npt.NDArray[np.int32]) -> pa.Table:
    """Rows by rank of their series, then time; of equal ones the last written."""
    ordinals = index.ordinals(whole(table.column("series_id")))
    known = np.flatnonzero(ordinals >= 0)
    order, _ = sort_rows(rank[ordinals[known]], whole(table.column("t_ms"))[known], int(rank.max(initial=0)) + 1)
    return table.select(SCHEMA.names).take(pa.array(known[order]))


def has_any(view: View) -> bool:
    """Whether there is any at all."""
    return bool(view.head_rows(STARTS)) or any(block.path(STARTS) is not None for block in view.blocks)


def read(view: View, index: SeriesIndex, chosen: Mask, start_ms: int, end_ms: int) -> Mapping[int, tuple[I64, I64]]:
    """By ordinal of the chosen series the times of samples in start..end (rising, each once) and their starts."""
    parts = [_rows(table, index, chosen, start_ms, end_ms) for table in _tables(view, start_ms, end_ms)]
    if not parts:
        return {}
    ordinals, t_ms, began = (np.concatenate([part[i] for part in parts]) for i in range(3))
    distinct, rank = np.unique(ordinals, return_inverse=True)
    order, counts = sort_rows(rank.astype(np.int32), t_ms, len(distinct))
    ends = np.cumsum(counts)
    return {
        int(ordinal): (t_ms[order[a:b]], began[order[a:b]])
        for ordinal, a, b in zip(distinct, ends - counts, ends, strict=True)
    }


def _tables(view: View, start_ms: int, end_ms: int) -> Iterator[pa.Table]:
    for block in view.blocks:
        overlaps = block.meta.max_ns >= start_ms * 1_000_000 and block.meta.min_ns <= end_ms * 1_000_000
        if overlaps and block.path(STARTS) is not None:
            yield without(block.read(STARTS), block.tombstones)
    if view.head_rows(STARTS):
        yield view.head(STARTS)


def _rows(table: pa.Table, index: SeriesIndex, chosen: Mask, start_ms: int, end_ms: int) -> tuple[I64, I64, I64]:
    if not table.num_rows:
        return (np.empty(0, np.int64),) * 3
    ordinals = index.ordinals(whole(table.column("series_id"))).astype(np.int64)
    t_ms = whole(table.column("t_ms"))
    wanted = (ordinals >= 0) & (ordinals < len(chosen)) & (t_ms >= start_ms) & (t_ms <= end_ms)
    wanted[wanted] = chosen[ordinals[wanted]]
    return ordinals[wanted], t_ms[wanted], whole(table.column("start_ms"))[wanted]
