"""Start timestamps on disk and in batches: rows of their own beside the samples that have one. Most stores have none.

What began to be counted anew has a start after the sample before; rates use it where a query asks for that.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.view import View
from obs.tsdb import beside
from obs.tsdb.filenames import STARTS
from obs.tsdb.index import SeriesIndex
from obs.tsdb.rows import whole
from obs.tsdb.sorting import sort_rows

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def read(view: View, index: SeriesIndex, chosen: Mask, start_ms: int, end_ms: int) -> Mapping[int, tuple[I64, I64]]:
    """By ordinal of the chosen series the times of samples in start..end (rising, each once) and their starts."""
    parts = [_rows(table, index, chosen, start_ms, end_ms) for table in beside.tables(view, STARTS, start_ms, end_ms)]
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


def _rows(table: pa.Table, index: SeriesIndex, chosen: Mask, start_ms: int, end_ms: int) -> tuple[I64, I64, I64]:
    if not table.num_rows:
        return (np.empty(0, np.int64),) * 3
    wanted, ordinals, t_ms = beside.wanted(table, index, chosen, start_ms, end_ms)
    return ordinals.astype(np.int64), t_ms, whole(table.column("start_ms"))[wanted]
