"""Rows in the order of a block: by rank of their series, then time; of equal (series, time) the last written."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from obs.tsdb.compiled import kernels, read_only

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]


def sort_rows(rank: I32, t_ms: I64, ranks: int) -> tuple[I64, I64]:
    """The kept rows in order, and how many each rank has. Rows come in the order they were written."""
    fast = kernels()
    if fast is not None:
        order, counts = fast.sort_rows(rank, read_only(t_ms), ranks)
        return order, counts
    return sort_rows_plainly(rank, t_ms, ranks)


def sort_rows_plainly(rank: I32, t_ms: I64, ranks: int) -> tuple[I64, I64]:
    """The same with numpy alone."""
    order = np.lexsort((t_ms, rank))
    if len(order):
        by_rank, by_time = rank[order], t_ms[order]
        last = np.ones(len(order), np.bool_)
        last[:-1] = (by_rank[1:] != by_rank[:-1]) | (by_time[1:] != by_time[:-1])
        order = order[last]
    return order, np.bincount(rank[order], minlength=ranks).astype(np.int64)
