"""Decoded row groups of samples, in a budget of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from obs.columnar.block import Block
from obs.tsdb import decimals
from obs.tsdb.blocks import BlockSeries
from obs.tsdb.filenames import SAMPLES
from obs.tsdb.rows import whole

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


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
            parts = [(g, _read(file, series, g)) for g in groups]
    except (OSError, pa.ArrowException):
        if block.sound():
            raise
        return {}
    return {g: _decoded(table, series, g) for g, table in parts}


def _read(file: pq.ParquetFile, series: BlockSeries, group: int) -> pa.Table:
    """One row group; on the thread at hand, since queries read parts side by side."""
    return file.read_row_groups([group], columns=_value_columns(series, group), use_threads=False)


def _value_columns(series: BlockSeries, group: int) -> list[str]:
    """The columns to read: doubles only where some row is one, scales only where not all series are known."""
    statistics = series.footer.row_group(group).column(2).statistics
    whole_ints = statistics is not None and statistics.null_count == 0
    columns = ["t_ms", "value_int"] if whole_ints else ["t_ms", "value_int", "value_double"]
    return columns if series.whole else [*columns, "scale"]


def _decoded(table: pa.Table, series: BlockSeries, group: int) -> Group:
    start, stop = int(series.group_starts[group]), int(series.group_starts[group + 1])
    doubles = table.column("value_double") if "value_double" in table.column_names else None
    powers = series.row_powers(start, stop) if series.whole else decimals.POWERS[whole(table.column("scale"))]
    return Group(whole(table.column("t_ms")), decimals.from_columns(table.column("value_int"), doubles, powers))
