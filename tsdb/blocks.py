"""What queries keep of blocks in memory: the series of each (where their rows are), and decoded samples in a budget.

A block is immutable and its name unique for ever, so that nothing here needs to be invalidated.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from obs.columnar.block import Block
from obs.model.labels import Matcher, MatchOp
from obs.tsdb import decimals
from obs.tsdb.filenames import SAMPLES, SERIES
from obs.tsdb.hidden import visible
from obs.tsdb.index import SeriesIndex
from obs.tsdb.layout import learn
from obs.tsdb.rows import whole
from obs.tsdb.tombstones import Deleted

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

Key = tuple[str, int]
"""A block, and the last delete that hides rows of it, 0 where none does."""

_NUMBERS = ["series_id", "first_row", "rows", "scale", "min_ms", "max_ms"]
_COLUMNS = [*_NUMBERS, "metric"]


@dataclass(frozen=True, slots=True)
class BlockSeries:
    """The series of one block, in its order. Rows of series i are first_rows[i]:first_rows[i] + counts[i]."""

    ordinals: npt.NDArray[np.int32]  # the index's
    first_rows: I64
    counts: I64
    powers: F64  # ten to the scale
    min_ms: I64
    max_ms: I64
    metrics: Mapping[str, tuple[int, int]]  # series first:last of each metric, in their order
    group_starts: I64  # first row of each row group of samples, and the end
    footer: Any  # pq.FileMetaData of samples, None where there are none
    held: Mask | None = None  # by ordinal, whether a series has rows; shorter than the index
    gone: Mask | None = None  # series of which deletes hide every sample
    deleted: Deleted | None = None  # by ordinal; None where no row is hidden

    def chosen(self, mask: Mask | None, start_ms: int, end_ms: int, names: Sequence[Matcher] = ()) -> I64:
        """Positions of the series of a mask (None: of all) that may have samples in start..end.

        `names`: matchers of the metric name that the mask satisfies; series of other metrics are not looked at.
        """
        found = [self._chosen(mask, start_ms, end_ms, part) for part in self._slices(names)]
        if len(found) == 1:
            return found[0]
        return np.concatenate(found) if found else _NONE

    def _slices(self, names: Sequence[Matcher]) -> list[slice]:
        """The parts of the block whose metrics have these names; neighbours as one."""
        exact = next((m.value for m in names if m.op is MatchOp.EQ and m.value), None)
        metrics = self.metrics if exact is None else {exact: self.metrics[exact]} if exact in self.metrics else {}
        parts: list[slice] = []
        for name, (first, last) in metrics.items():
            if not all(m.matches(name) for m in names):
                continue
            if parts and parts[-1].stop == first:
                parts[-1] = slice(parts[-1].start, last)
            else:
                parts.append(slice(first, last))
        return parts

    def _chosen(self, mask: Mask | None, start_ms: int, end_ms: int, part: slice) -> I64:
        wanted = self.counts[part] > 0
        if mask is not None:
            wanted &= mask[self.ordinals[part]]
        wanted &= (self.max_ms[part] >= start_ms) & (self.min_ms[part] <= end_ms)
        if self.gone is not None:
            wanted &= ~self.gone[part]
        return np.flatnonzero(wanted) + part.start

    def row_powers(self, start: int, stop: int) -> F64 | float:
        """The power of ten of each of the rows start..stop, or the one that all have."""
        ends = self.first_rows + self.counts
        first, last = (int(np.searchsorted(ends, row, "right")) for row in (start, stop - 1))
        span = slice(first, last + 1)
        if bool((self.powers[span] == self.powers[first]).all()):
            return float(self.powers[first])
        counts = np.minimum(ends[span], stop) - np.maximum(self.first_rows[span], start)
        return np.repeat(self.powers[span], counts)


_NONE = np.empty(0, np.int64)
NO_SERIES = BlockSeries(
    np.empty(0, np.int32), _NONE, _NONE, np.empty(0), _NONE, _NONE, {}, np.zeros(1, np.int64), None
)  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class Group:
    """The decoded samples of one row group."""

    t_ms: I64
    values: F64

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return int(self.t_ms.nbytes + self.values.nbytes)


class GroupCache:
    """Decoded row groups, the least recently used dropped first. Any thread."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._groups: OrderedDict[tuple[str, int], Group] = OrderedDict()
        self._decoding: dict[tuple[str, int], threading.Event] = {}  # set when it is done, well or not
        self.nbytes = 0

    def read(self, block: Block, series: BlockSeries, wanted: Iterable[int]) -> tuple[dict[int, Group], int]:
        """Row groups of a block by number, and how many had to be decoded. None of a damaged block."""
        wanted = list(wanted)
        with self._lock:
            found = self._held(block.name, wanted)
            awaited = {g: self._decoding[block.name, g] for g in wanted if (block.name, g) in self._decoding}
            mine = [g for g in wanted if g not in found and g not in awaited]
            done = threading.Event()
            self._decoding.update(dict.fromkeys(((block.name, g) for g in mine), done))
        if mine:
            found |= self._decode(block, series, mine, done)
        for event in awaited.values():
            event.wait()
        with self._lock:
            found |= self._held(block.name, awaited)
        lost = [g for g in wanted if g not in found and g not in mine]  # the cache had no room for them
        if lost:
            found |= decode(block, series, lost)
        return found, len(mine) + len(lost)

    def _held(self, name: str, groups: Iterable[int]) -> dict[int, Group]:
        """Those of some groups that the cache has, now the last to be dropped."""
        found = {g: self._groups[name, g] for g in groups if (name, g) in self._groups}
        for g in found:
            self._groups.move_to_end((name, g))
        return found

    def _decode(
        self, block: Block, series: BlockSeries, mine: Sequence[int], done: threading.Event
    ) -> dict[int, Group]:
        """Decode groups that others may be waiting for."""
        try:
            decoded = decode(block, series, mine)
            self._keep(block.name, decoded)
        finally:
            with self._lock:
                for g in mine:
                    del self._decoding[block.name, g]
            done.set()
        return decoded

    def _keep(self, name: str, decoded: dict[int, Group]) -> None:
        if sum(group.nbytes for group in decoded.values()) > self._limit // 2:
            return
        with self._lock:
            for g, group in decoded.items():
                if (name, g) not in self._groups:
                    self._groups[name, g] = group
                    self.nbytes += group.nbytes
            while self.nbytes > self._limit:
                _, dropped = self._groups.popitem(last=False)
                self.nbytes -= dropped.nbytes


def decode(block: Block, series: BlockSeries, groups: Sequence[int]) -> dict[int, Group]:
    """Read and decode row groups; nothing where the block is damaged."""
    path = block.path(SAMPLES)
    if path is None or block.damaged:
        return {}
    try:
        with pq.ParquetFile(path, metadata=series.footer) as file:
            parts = [(g, _read(file, series.footer, g)) for g in groups]
    except (OSError, pa.ArrowException):
        if block.sound():
            raise
        return {}
    return {g: _decoded(table, series, g) for g, table in parts}


def _read(file: pq.ParquetFile, footer: Any, group: int) -> pa.Table:
    """One row group; on the thread at hand, since queries read parts side by side."""
    return file.read_row_groups([group], columns=_value_columns(footer, group), use_threads=False)


def _value_columns(footer: Any, group: int) -> list[str]:
    """What a row group must be read for: the doubles only where some row is one."""
    statistics = footer.row_group(group).column(2).statistics
    whole_ints = statistics is not None and statistics.null_count == 0
    return ["t_ms", "value_int"] if whole_ints else ["t_ms", "value_int", "value_double"]


def _decoded(table: pa.Table, series: BlockSeries, group: int) -> Group:
    start, stop = int(series.group_starts[group]), int(series.group_starts[group + 1])
    doubles = table.column("value_double") if "value_double" in table.column_names else None
    powers = series.row_powers(start, stop)
    return Group(whole(table.column("t_ms")), decimals.from_columns(table.column("value_int"), doubles, powers))
