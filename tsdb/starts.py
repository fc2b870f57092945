"""Start timestamps on disk and in batches: rows of their own where the start of a series' samples changes.

What began to be counted anew has a start after the sample before; rates use it where a query asks for that. A row holds
for the samples after it, too, up to the next row or the end of its UTC day; so a series that counts on has one a day.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.view import View
from obs.model.schema import DAY_MS
from obs.model.schema import STARTS as SCHEMA
from obs.tsdb import beside
from obs.tsdb.filenames import STARTS
from obs.tsdb.index import SeriesIndex
from obs.tsdb.limits import FIRST_MS
from obs.tsdb.rows import whole
from obs.tsdb.sorting import sort_rows

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def read(view: View, index: SeriesIndex, chosen: Mask, start_ms: int, end_ms: int) -> Mapping[int, tuple[I64, I64]]:
    """By ordinal of the chosen series times (rising, each once), and the starts that hold from there on."""
    start_ms = max(start_ms, FIRST_MS + DAY_MS) // DAY_MS * DAY_MS
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


def at_times(t_ms: I64, times: I64, begun: I64) -> I64:
    """The start of the sample at each time, 0 where none is known; the others as `read` has them."""
    at = np.searchsorted(times, t_ms, side="right") - 1
    known = (at >= 0) & (times[at] // DAY_MS == t_ms // DAY_MS)
    return np.where(known, begun[at], 0)


def in_order(table: pa.Table, index: SeriesIndex, rank: npt.NDArray[np.int32]) -> pa.Table:
    """The rows of a block by rank of their series, then time, without those that say what the one before says."""
    rows = beside.in_order(table, SCHEMA, index, rank)
    ids, t_ms, start_ms = (whole(rows.column(name)) for name in SCHEMA.names)
    news = np.ones(len(ids), np.bool_)
    news[1:] = (np.diff(start_ms) != 0) | (np.diff(t_ms // DAY_MS) != 0) | (ids[1:] != ids[:-1])
    return rows.filter(pa.array(news))


def _rows(table: pa.Table, index: SeriesIndex, chosen: Mask, start_ms: int, end_ms: int) -> tuple[I64, I64, I64]:
    if not table.num_rows:
        return (np.empty(0, np.int64),) * 3
    wanted, ordinals, t_ms = beside.wanted(table, index, chosen, start_ms, end_ms)
    return ordinals.astype(np.int64), t_ms, whole(table.column("start_ms"))[wanted]
