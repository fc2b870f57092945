"""`labels.parquet` of a block: its label names and their values, so that a listing needs none of its series.

What a block cannot tell (it was written without the file, rows of it are deleted, a name has very many values) is None.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.columnar.block import Block
from obs.tsdb.filenames import LABELS
from obs.tsdb.index import SeriesIndex, gather
from obs.tsdb.limits import MOST_VALUES
from obs.tsdb.rows import whole

I64 = npt.NDArray[np.int64]
_LEAST, _GREATEST = -(1 << 63), (1 << 63) - 1


def table(index: SeriesIndex, series: I64, some: npt.NDArray[np.bool_], times: tuple[I64, I64]) -> pa.Table:
    """The file of a block: `series` are its ordinals, `some` those with samples, `times` the first and last of each."""
    pairs, sizes = gather(index.flat, index.offsets, series[some])
    names = index.pair_names.numbers
    min_ms, max_ms = (np.repeat(each[some], sizes) for each in times)
    of_pair = _Bounds.of(pairs, min_ms, max_ms, len(names))
    seen = of_pair.seen
    of_name = _Bounds.of(names[seen], of_pair.min_ms[seen], of_pair.max_ms[seen], len(index.pair_names.texts))
    values = np.bincount(names[seen], minlength=len(of_name.min_ms))
    listed = seen[values[names[seen]] <= MOST_VALUES]
    texts = index.pair_texts
    rows = [(index.pair_names.texts[n], None) for n in of_name.seen.tolist()]
    rows += [texts[pair] for pair in listed.tolist()]
    unsorted = pa.table(
        {
            "name": pa.array([name for name, _ in rows], pa.string()),
            "value": pa.array([value for _, value in rows], pa.string()),
            "min_ms": np.concatenate([of_name.min_ms[of_name.seen], of_pair.min_ms[listed]]),
            "max_ms": np.concatenate([of_name.max_ms[of_name.seen], of_pair.max_ms[listed]]),
        }
    )
    order = pc.sort_indices(unsorted, [("name", "ascending"), ("value", "ascending")])
    return unsorted.take(order)


class _Bounds:
    """Of each key the least and the greatest time, and which keys there are."""

    def __init__(self, seen: I64, min_ms: I64, max_ms: I64) -> None:
        self.seen, self.min_ms, self.max_ms = seen, min_ms, max_ms

    @classmethod
    def of(cls, keys: npt.NDArray[np.integer], min_ms: I64, max_ms: I64, size: int) -> _Bounds:
        """Rows of keys below `size`."""
        least, greatest = np.full(size, _GREATEST), np.full(size, _LEAST)
        np.minimum.at(least, keys, min_ms)
        np.maximum.at(greatest, keys, max_ms)
        return cls(np.flatnonzero(np.bincount(keys, minlength=size)), least, greatest)


def names(block: Block, start_ms: int, end_ms: int) -> list[str] | None:
    """The label names of the series with samples around start..end."""
    rows = _rows(block, start_ms, end_ms)
    return None if rows is None else rows.filter(pc.is_null(rows["value"]))["name"].to_pylist()


def values(block: Block, name: str, start_ms: int, end_ms: int) -> list[str] | None:
    """The values of a label of the series with samples around start..end."""
    rows = _rows(block, start_ms, end_ms, name)
    if rows is None:
        return None
    found: list[str] = rows["value"].drop_null().to_pylist()
    return found if found or not rows.num_rows else None


def _rows(block: Block, start_ms: int, end_ms: int, name: str | None = None) -> pa.Table | None:
    if block.tombstones or block.path(LABELS) is None:
        return None
    found = block.read(LABELS, use_threads=False)
    if not found.num_rows:
        return None
    if name is not None:
        found = found.filter(pc.equal(found["name"], name))
    inside = (whole(found["max_ms"]) >= start_ms) & (whole(found["min_ms"]) <= end_ms)
    return found if inside.all() else found.filter(pa.array(inside))
