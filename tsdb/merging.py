"""Samples of several blocks as one, series by series: a merge holds a slice of its rows, not all of them.

Blocks have the same order of series, so that the next series of all of them are the next rows of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from obs.columnar.block import Block
from obs.errors import CorruptionError
from obs.model import schema as schemas
from obs.tsdb import groups
from obs.tsdb.blocks import BlockSeries
from obs.tsdb.filenames import SAMPLES, SERIES
from obs.tsdb.index import SeriesIndex
from obs.tsdb.limits import SLICE_ROWS
from obs.tsdb.rows import whole
from obs.tsdb.sorting import sort_rows
from obs.tsdb.writing import Part

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


_NO_SERIES = schemas.SERIES.append(pa.field("rows", pa.int64())).append(pa.field("scale", pa.int8())).empty_table()
"""Of a block that has metadata only."""


class BlockSamples:
    """The samples of one block from the first to the last, a row group decoded at a time.

    Its series are those of the index with the ordinals `ordinals`. Reading raises CorruptionError where it is damaged.
    """

    def __init__(self, block: Block, index: SeriesIndex) -> None:
        series = _read(block, ["series_id", "rows", "scale"])
        ids = whole(series.column("series_id"))
        self.ordinals = index.ordinals(ids)
        if self.ordinals.min(initial=0) < 0:  # not those of a block that was written here
            index.learn(_read(block, ["series_id", "labels"]))
            self.ordinals = index.ordinals(ids)
        self.counts: I64 = whole(series.column("rows"))
        self._block = block
        self._series = _placed(block, self.ordinals, self.counts, whole(series.column("scale").fill_null(0)))
        self._group = groups.Group(np.empty(0, np.int64), np.empty(0))  # what is left of the last one decoded
        self._next = 0  # row group

    def take(self, rows: int) -> Iterator[tuple[I64, F64]]:
        """Times and values of the next so many rows, piece by piece."""
        while rows:
            if not len(self._group.t_ms):
                self._decode()
            group = self._group
            yield group.t_ms[:rows], group.values[:rows]
            self._group = groups.Group(group.t_ms[rows:], group.values[rows:])
            rows -= min(rows, len(group.t_ms))

    def _decode(self) -> None:
        _expect(self._block, self._next < len(self._series.group_starts) - 1)
        found = groups.decode(self._block, self._series, {self._next: None})
        _expect(self._block, self._next in found)
        self._group = found[self._next]
        self._next += 1


def _read(block: Block, columns: Sequence[str]) -> pa.Table:
    """Columns of the series of a block. Raises: CorruptionError."""
    series = block.read(SERIES, columns, use_threads=False) if block.path(SERIES) is not None else _NO_SERIES
    _expect(block, series.num_columns > 0)
    return series


def _placed(block: Block, ordinals: I32, counts: I64, scales: npt.NDArray[np.int8]) -> BlockSeries:
    """The series of a block with where its row groups are; their times are not asked for."""
    path, none = block.path(SAMPLES), np.zeros(len(counts), np.int64)
    series = BlockSeries.of(ordinals, np.cumsum(counts) - counts, counts, scales, (none, none), {})
    if path is None:
        return series
    try:
        return series.with_footer(pq.read_metadata(path))
    except (OSError, ValueError):  # pa.ArrowInvalid is a ValueError
        _expect(block, block.sound())
        raise


def _expect(block: Block, holds: bool) -> None:
    """Raises: CorruptionError."""
    if not holds:
        block.sound()
        raise CorruptionError(
            f"cannot merge block {block.name!r}: its rows are not what was written", str(block.folder)
        )


class MergedSamples:
    """The samples of blocks in write order as those of one, of equal (series, time) the last written."""

    def __init__(self, blocks: Sequence[Block], index: SeriesIndex) -> None:
        self._sources = [BlockSamples(block, index) for block in blocks]
        ordinals = np.concatenate([source.ordinals for source in self._sources])
        self.series = index.sorted_by_name(np.unique(ordinals))
        self.rank = np.zeros(len(index), np.int32)
        self.rank[self.series] = np.arange(len(self.series), dtype=np.int32)

    @property
    def are_in_order(self) -> bool:
        """Whether each block has its series in today's order: only then can they be read side by side."""
        return all(bool((np.diff(self.rank[source.ordinals]) > 0).all()) for source in self._sources)

    @property
    def rows(self) -> int:
        """Rows of all blocks."""
        return sum(int(source.counts.sum()) for source in self._sources)

    def parts(self) -> Iterator[Part]:
        """About `SLICE_ROWS` rows each, of whole series."""
        counts = np.zeros(len(self.series), np.int64)
        for source in self._sources:
            counts[self.rank[source.ordinals]] += source.counts
        ends = np.cumsum(counts)
        cuts = np.searchsorted(ends, np.arange(SLICE_ROWS, int(ends[-1]), SLICE_ROWS)) + 1
        bounds: list[Any] = np.unique([0, *cuts.tolist(), len(counts)]).tolist()
        for first, stop in pairwise(bounds):
            yield self._part(first, stop)

    def _part(self, first: int, stop: int) -> Part:
        """The samples of series first:stop."""
        ranks, times, values = [], [], []
        for source in self._sources:
            held = self.rank[source.ordinals]
            at = slice(*np.searchsorted(held, np.array([first, stop], np.int32)).tolist())
            counts = source.counts[at]
            ranks.append(np.repeat(held[at] - np.int32(first), counts))
            for t_ms, some in source.take(int(counts.sum())):
                times.append(t_ms)
                values.append(some)
        rank, t_ms = np.concatenate(ranks), _joined(times, np.int64)
        order, kept = sort_rows(rank, t_ms, stop - first)
        return Part(first, kept, t_ms[order], _joined(values, np.float64)[order])


def _joined(arrays: Sequence[npt.NDArray[Any]], kind: type) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0, kind)
