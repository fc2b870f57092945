"""The series of blocks as queries find them, read once each; reading them also teaches the index.

A block is immutable and its name unique for ever, so that nothing here needs to be invalidated. What this process
wrote itself is not read; of what a start finds, one metric's series can be had before all are read.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from obs.columnar.block import Block
from obs.model.labels import METRIC_NAME, Matcher
from obs.tsdb.blocks import NO_SERIES, BlockSeries, Runs, Written, exact_name, metric_runs
from obs.tsdb.filenames import SAMPLES, SERIES
from obs.tsdb.hidden import visible
from obs.tsdb.index import SeriesIndex
from obs.tsdb.limits import LEARNED_ALONE, LEARNED_ROWS
from obs.tsdb.rows import whole

I32 = npt.NDArray[np.int32]
Key = tuple[str, int]
"""A block, and the last delete that hides rows of it, 0 where none does."""

_NUMBERS = ["first_row", "rows", "scale", "min_ms", "max_ms"]
_COLUMNS = ["metric", "series_id", *_NUMBERS]
_LABELS = ["series_id", "labels"]
_CODED = ["metric"]
"""Text that is read as codes of a dictionary; Arrow cannot do so with keys of maps where a batch has two row groups."""


def _key(block: Block) -> Key:
    return block.name, block.tombstones[-1].sequence if block.tombstones else 0


class BlockCatalog:
    """The series of blocks. Any thread."""

    def __init__(self, index: SeriesIndex, written: Written, pause: Callable[[], None] = lambda: None) -> None:
        """`pause` is called now and then while the labels of a block are read, unless someone waits for them."""
        self._index = index
        self._pause = pause
        self._waiting = 0  # threads that need a whole block
        self._written = written
        self._reading, self._reading_parts, self._counting = threading.Lock(), threading.Lock(), threading.Lock()
        self._known: dict[Key, BlockSeries] = {}
        self._parts: dict[tuple[Key, str], BlockSeries] = {}

    def known(self, block: Block) -> BlockSeries | None:
        """The series of a block, where that takes no reading of them."""
        found = self._known.get(_key(block))
        if found is not None or block.tombstones:
            return found
        return self._take(block)

    def of(self, blocks: Sequence[Block]) -> list[BlockSeries]:
        """The series of each block; what a damaged one holds is left out."""
        return [self.known(b) or self._awaited(b) for b in blocks]

    def ahead(self, blocks: Sequence[Block]) -> None:
        """Read what is not known of some blocks, while nobody waits for it."""
        for block in blocks:
            if self.known(block) is None:
                self._load(block)

    def of_metric(self, blocks: Sequence[Block], names: Sequence[Matcher]) -> list[BlockSeries]:
        """The same, where only series are wanted whose metric has one of these names: few, if they name one metric."""
        metric = exact_name(names)
        if metric is None:
            return self.of(blocks)
        found = {b.name: self.known(b) for b in blocks}
        found |= self._parts_of([b for b in blocks if found[b.name] is None], metric)
        return [series for b in blocks if (series := found[b.name]) is not None]

    def seen(self) -> Collection[Key]:
        """All that is known, to be taken before a view: what comes in later is not of blocks that are gone."""
        return list(self._known)

    def keep(self, blocks: Sequence[Block], seen: Collection[Key]) -> None:
        """Of what was seen let go of all blocks but these, and of parts of those that are known whole."""
        keys = {_key(b) for b in blocks}
        for key in seen:
            if key not in keys:
                self._known.pop(key, None)
        for part in list(self._parts):
            if part[0] in self._known or part[0] not in keys:
                self._parts.pop(part, None)

    def _awaited(self, block: Block) -> BlockSeries:
        with self._counting:
            self._waiting += 1
        try:
            return self._load(block)
        finally:
            with self._counting:
                self._waiting -= 1

    def _load(self, block: Block) -> BlockSeries:
        """Read a block, unless another thread just did."""
        with self._reading:
            found = self.known(block)
            if found is None:
                found = self._visible(block) if block.tombstones else self._read(block)
                if not block.damaged:
                    self._known[_key(block)] = found
        return found

    def _visible(self, block: Block) -> BlockSeries:
        plain = self._known.get((block.name, 0)) or self._take(block) or self._read(block)
        return visible(block, plain, self._index)

    def _take(self, block: Block) -> BlockSeries | None:
        """The series of a block that was written here and not asked for yet."""
        series = self._written.get(block.name)
        if series is None:
            return None
        series = series.with_footer(_footer(block))
        if block.damaged:
            return NO_SERIES
        self._known[block.name, 0] = series
        self._written.drop(block.name)
        return series

    def _read(self, block: Block) -> BlockSeries:
        table = block.read(SERIES, _COLUMNS, as_codes=True) if self._waiting else self._read_slowly(block)
        if not table.num_rows:
            return NO_SERIES
        ordinals = self._ordinals(table, lambda: self._learn(block))
        footer = _footer(block)
        if block.damaged:
            return NO_SERIES
        return _series(table, ordinals, metric_runs(table["metric"]), is_whole=True).with_footer(footer)

    def _read_slowly(self, block: Block) -> pa.Table:
        """The numbers of a block's series a row group at a time, on this thread alone; others may ask meanwhile."""
        path = block.path(SERIES)
        if path is None or block.damaged:
            return pa.table({})
        try:
            with pq.ParquetFile(path, read_dictionary=_CODED) as file:
                tables = []
                for group in range(file.num_row_groups):
                    self._let_others()
                    tables.append(file.read_row_group(group, columns=_COLUMNS, use_threads=False))
                return pa.concat_tables(tables)
        except (OSError, pa.ArrowException):
            if block.sound():
                raise
            return pa.table({})

    def _let_others(self) -> None:
        if not self._waiting:
            self._pause()

    def _ordinals(self, table: pa.Table, learn: Callable[[], None]) -> I32:
        """Those of the series of a table; `learn` teaches the index their labels where it does not know them."""
        ids = whole(table["series_id"])
        ordinals = self._index.ordinals(ids)
        if (ordinals >= 0).all():
            return ordinals
        learn()
        return self._index.ordinals(ids)

    def _learn(self, block: Block) -> None:
        """Teach the index the series of a block, some at a time, so that whoever asks meanwhile is not kept waiting."""
        path = block.path(SERIES)
        if path is None or block.damaged:
            return
        try:
            with pq.ParquetFile(path, read_dictionary=_CODED) as file:
                for batch in file.iter_batches(LEARNED_ROWS, columns=_LABELS, use_threads=False):
                    at = 0
                    while at < batch.num_rows:
                        self._let_others()
                        rows = batch.num_rows if self._waiting else LEARNED_ALONE
                        self._index.learn(pa.Table.from_batches([batch.slice(at, rows)]))
                        at += rows
                    self._index.settle()
        except (OSError, pa.ArrowException):
            if block.sound():
                raise

    def _parts_of(self, blocks: Sequence[Block], metric: str) -> Mapping[str, BlockSeries]:
        """The series of one metric of each block, by the block's name."""
        with self._reading_parts:
            kept = {b.name: self._parts.get((_key(b), metric)) for b in blocks}
            found = {name: part for name, part in kept.items() if part is not None}
            left = [b for b in blocks if b.name not in found]
            if left:
                found |= self._read_parts(left, metric)
        return found

    def _read_parts(self, blocks: Sequence[Block], metric: str) -> dict[str, BlockSeries]:
        """Read the series of one metric of some blocks, side by side."""
        numbers = partial(_numbers_of, metric=metric)
        found = readers().map(numbers, blocks) if len(blocks) > 1 else map(numbers, blocks)
        if not self._index.has(METRIC_NAME, metric):  # most blocks have the same series, which are learned meanwhile
            self._learn_metric(blocks[0], metric)
        return {b.name: self._part(b, metric, *each) for b, each in zip(blocks, found, strict=True)}

    def _part(self, block: Block, metric: str, table: pa.Table, footer: Any) -> BlockSeries:
        """The series of one metric of a block, by the numbers of them."""
        found = NO_SERIES
        if table.num_rows:
            ordinals = self._ordinals(table, lambda: self._learn_metric(block, metric))
            found = _series(table, ordinals, {metric: (0, table.num_rows)}, is_whole=False).with_footer(footer)
        if block.damaged:
            return NO_SERIES
        if block.tombstones:
            found = visible(block, found, self._index)
        self._parts[_key(block), metric] = found
        return found

    def _learn_metric(self, block: Block, metric: str) -> None:
        """Teach the index the series of one metric of a block; in batches, whose memory is used again."""
        path = block.path(SERIES)
        if path is None or block.damaged:
            return
        try:
            with pq.ParquetFile(path, read_dictionary=_CODED) as file:
                groups = list(_groups_of(file, metric))
                names = file.read_row_groups(groups, columns=["metric"], use_threads=False)["metric"]
                first, end = metric_runs(names).get(metric, (0, 0))
                at = 0
                for batch in file.iter_batches(LEARNED_ROWS, row_groups=groups, columns=_LABELS, use_threads=False):
                    if at >= end:
                        break
                    mine = batch.slice(max(first - at, 0), max(min(end - at, batch.num_rows) - max(first - at, 0), 0))
                    self._index.learn(pa.Table.from_batches([mine]))
                    at += batch.num_rows
        except (OSError, pa.ArrowException):
            if block.sound():
                raise


def _numbers_of(block: Block, metric: str) -> tuple[pa.Table, Any]:
    """The numbers of the series of one metric, and the footer of the samples' file where there are any."""
    table = _of_metric(block, metric)
    return table, _footer(block) if table.num_rows else None


def _of_metric(block: Block, metric: str) -> pa.Table:
    """The numbers of the series of one metric; nothing of a damaged block."""
    path = block.path(SERIES)
    if path is None or block.damaged:
        return pa.table({})
    try:
        with pq.ParquetFile(path, read_dictionary=_CODED) as file:
            table = file.read_row_groups(_groups_of(file, metric), columns=_COLUMNS, use_threads=False)
    except (OSError, pa.ArrowException):
        if block.sound():
            raise
        return pa.table({})
    first, end = metric_runs(table["metric"]).get(metric, (0, 0))
    return table.slice(first, end - first)


def _series(table: pa.Table, ordinals: I32, runs: Runs, is_whole: bool) -> BlockSeries:
    first_rows, counts, scales, *times = (_numbers(table[name]) for name in _NUMBERS)
    return BlockSeries.of(ordinals, first_rows, counts, scales, (times[0], times[1]), runs, whole=is_whole)


def _numbers(column: pa.ChunkedArray) -> Any:
    """A column of numbers, 0 where there is none."""
    return whole(column.fill_null(0) if column.null_count else column)


def _groups_of(file: pq.ParquetFile, metric: str) -> range:
    """The row groups of series that may have some of a metric: they are in the order of metrics."""
    column = file.schema_arrow.names.index("metric")  # none before it is nested

    def bounds(group: int) -> tuple[str, str]:
        found = file.metadata.row_group(group).column(column).statistics
        return (metric, metric) if found is None or not found.has_min_max else (found.min, found.max)

    groups = range(file.num_row_groups)
    first = bisect_left(groups, metric, key=lambda g: bounds(g)[1])
    return range(first, bisect_right(groups, metric, lo=first, key=lambda g: bounds(g)[0]))


@cache
def readers() -> ThreadPoolExecutor:
    """Threads that read blocks side by side for a query that waits for all of them; they wait for none themselves."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), "obs-read-blocks")


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
