"""Rows beside samples in tables of their own (native histograms, start timestamps): written and found alike.

In: a view or a head's rows. Out: rows in a block's order; those of chosen series in a range of time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.view import View
from obs.tsdb.filenames import STARTS
from obs.tsdb.index import SeriesIndex
from obs.tsdb.rows import whole
from obs.tsdb.sorting import sort_rows
from obs.tsdb.tombstones import starts_without, without

Mask = npt.NDArray[np.bool_]


def in_order(table: pa.Table, schema: pa.Schema, index: SeriesIndex, rank: npt.NDArray[np.int32]) -> pa.Table:
    """Rows by rank of their series, then time; of equal ones the last written."""
    ordinals = index.ordinals(whole(table.column("series_id")))
    known = np.flatnonzero(ordinals >= 0)
    order, _ = sort_rows(rank[ordinals[known]], whole(table.column("t_ms"))[known], int(rank.max(initial=0)) + 1)
    return table.select(schema.names).take(pa.array(known[order]))


def has_any(view: View, name: str) -> bool:
    """Whether the table has rows at all: in most stores it has none, and there is no need to look further."""
    return bool(view.head_rows(name)) or any(block.path(name) is not None for block in view.blocks)


def tables(view: View, name: str, start_ms: int, end_ms: int) -> Iterator[pa.Table]:
    """The table's rows that may lie in start..end, place by place, those written later last."""
    for block in view.blocks:
        overlaps = block.meta.max_ns >= start_ms * 1_000_000 and block.meta.min_ns <= end_ms * 1_000_000
        if overlaps and block.path(name) is not None:
            yield (starts_without if name == STARTS else without)(block.read(name), block.tombstones)
    if view.head_rows(name):
        yield view.head(name)


def wanted(
    table: pa.Table, index: SeriesIndex, chosen: Mask, start_ms: int, end_ms: int
) -> tuple[Mask, npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Which rows are of chosen series in start..end, and the ordinals and times of those."""
    ordinals = index.ordinals(whole(table.column("series_id")))
    t_ms = whole(table.column("t_ms"))
    found = (ordinals >= 0) & (ordinals < len(chosen)) & (t_ms >= start_ms) & (t_ms <= end_ms)
    found[found] = chosen[ordinals[found]]
    return found, ordinals[found], t_ms[found]
