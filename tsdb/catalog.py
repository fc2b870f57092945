"""The series of blocks as queries find them, read once each; reading them also teaches the index.

A block is immutable and its name unique for ever, so that nothing here needs to be invalidated.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from obs.columnar.block import Block
from obs.tsdb import decimals
from obs.tsdb.blocks import NO_SERIES, BlockSeries
from obs.tsdb.filenames import SAMPLES, SERIES
from obs.tsdb.hidden import visible
from obs.tsdb.index import SeriesIndex
from obs.tsdb.layout import learn
from obs.tsdb.rows import whole

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

Key = tuple[str, int]
"""A block, and the last delete that hides rows of it, 0 where none does."""

_NUMBERS = ["series_id", "first_row", "rows", "scale", "min_ms", "max_ms"]
_COLUMNS = [*_NUMBERS, "metric"]


def _key(block: Block) -> Key:
    return block.name, block.tombstones[-1].sequence if block.tombstones else 0


class BlockCatalog:
    """The series of blocks, read once each; reading them also teaches the index."""

    def __init__(self, index: SeriesIndex) -> None:
        self._index = index
        self._lock = threading.Lock()
        self._known: dict[Key, BlockSeries] = {}

    def of(self, blocks: Sequence[Block]) -> list[BlockSeries]:
        """The series of each block; what a damaged one holds is left out."""
        with self._lock:
            found = [self._known.get(_key(b)) or self._load(b) for b in blocks]
            names = {_key(b) for b in blocks}
            if len(self._known) > 2 * len(names) + 16:
                self._known = {name: series for name, series in self._known.items() if name in names}
            return found

    def _load(self, block: Block) -> BlockSeries:
        if not block.tombstones:
            return self._read(block)
        loaded = visible(block, self._known.get((block.name, 0)) or self._read(block), self._index)
        if not block.damaged:
            self._known[_key(block)] = loaded
        return loaded

    def _read(self, block: Block) -> BlockSeries:
        path = block.path(SERIES)
        if path is None:
            return NO_SERIES
        series = block.read(SERIES, _COLUMNS)
        if not series.num_rows:
            return NO_SERIES
        if (self._index.ordinals(whole(series.column("series_id"))) < 0).any():
            learn(self._index, block.read(SERIES, ["series_id", "labels"]))
        columns = [whole(series.column(name).fill_null(0)) for name in _NUMBERS]
        footer = self._footer(block)
        if block.damaged:
            return NO_SERIES
        sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] if footer else []
        ids, first_rows, counts, scales, min_ms, max_ms = columns
        ordinals = self._index.ordinals(ids)
        loaded = BlockSeries(
            ordinals, first_rows, counts, decimals.POWERS[scales], min_ms, max_ms,
            _metrics(series.column("metric")),
            np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)]), footer, _held(ordinals, counts),
        )  # fmt: skip
        self._known[block.name, 0] = loaded
        return loaded

    @staticmethod
    def _footer(block: Block) -> Any:
        path = block.path(SAMPLES)
        if path is None:
            return None
        try:
            return pq.read_metadata(path)
        except (OSError, pa.ArrowException):
            if block.sound():
                raise
            return None


def _held(ordinals: npt.NDArray[np.int32], counts: I64) -> Mask:
    held = np.zeros(int(ordinals.max(initial=-1)) + 1, np.bool_)
    held[ordinals[counts > 0]] = True
    return held


def _metrics(names: pa.ChunkedArray) -> dict[str, tuple[int, int]]:
    """The runs of equal metric names, in order."""
    runs = pc.run_end_encode(names.combine_chunks())
    ends = runs.run_ends.to_pylist()
    return dict(zip(runs.values.to_pylist(), zip([0, *ends[:-1]], ends, strict=True), strict=True))
