"""Decoded row groups of samples, in a budget of memory."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from obs.columnar.block import Block
from obs.tsdb import decimals, pages
from obs.tsdb.blocks import BlockSeries
from obs.tsdb.filenames import SAMPLES
from obs.tsdb.limits import DECODED_TOGETHER, FEW_ROWS, UNPACKED_TOGETHER
from obs.tsdb.rows import whole

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

Rows = tuple[int, int]
"""Rows first:stop of a row group."""


@dataclass(frozen=True, slots=True)
class Group:
    """The decoded samples of one row group, or some of them: those from row `first` of it on."""

    t_ms: I64
    values: F64
    first: int = 0

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return int(self.t_ms.nbytes + self.values.nbytes)


class GroupCache:
    """Decoded row groups, the least recently used dropped first. Any thread."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._groups: OrderedDict[tuple[str, int, Rows | None], Group] = OrderedDict()  # None: all its rows
        self._decoding: dict[tuple[str, int], threading.Event] = {}  # set when it is done, well or not
        self.nbytes = 0

    def read(
        self, block: Block, series: BlockSeries, wanted: Sequence[int], rows: Sequence[Rows] = ()
    ) -> tuple[dict[int, Group], int]:
        """Row groups of a block by number, and how many had to be decoded. None of a damaged block.

        `rows`: those that are wanted of each, or nothing. Of a group that is not kept whole few rows are decoded alone.
        """
        few, decoded = self._few(block, series, dict(zip(wanted, rows, strict=True))) if rows else ({}, 0)
        wanted = [g for g in wanted if g not in few]
        with self._lock:
            found = self._held(block.name, dict.fromkeys(wanted)) | few
            awaited = {g: self._decoding[block.name, g] for g in wanted if (block.name, g) in self._decoding}
            mine = [g for g in wanted if g not in found and g not in awaited]
            done = threading.Event()
            self._decoding.update(dict.fromkeys(((block.name, g) for g in mine), done))
        if mine:
            found |= self._decode(block, series, mine, done)
        for event in awaited.values():
            event.wait()
        with self._lock:
            found |= self._held(block.name, dict.fromkeys(awaited))
        lost = [g for g in wanted if g not in found and g not in mine]  # the cache had no room for them
        if lost:
            found |= decode(block, series, dict.fromkeys(lost))
        return found, len(mine) + len(lost) + decoded

    def _few(self, block: Block, series: BlockSeries, rows: Mapping[int, Rows]) -> tuple[dict[int, Group], int]:
        """Of row groups that are not kept whole the rows wanted, where they are few; and how many were decoded."""
        with self._lock:
            few = {
                g: r for g, r in rows.items() if _are_few(series, g, r) and (block.name, g, None) not in self._groups
            }
            found = self._held(block.name, few)
        decoded = decode(block, series, {g: r for g, r in few.items() if g not in found}, alone=True)
        self._keep(block.name, decoded, few)
        return found | decoded, len(decoded)

    def _held(self, name: str, groups: Mapping[int, Rows | None]) -> dict[int, Group]:
        """Those of some groups, or rows of them, that the cache has, now the last to be dropped."""
        found = {g: self._groups[name, g, r] for g, r in groups.items() if (name, g, r) in self._groups}
        for g in found:
            self._groups.move_to_end((name, g, groups[g]))
        return found

    def _decode(
        self, block: Block, series: BlockSeries, mine: Sequence[int], done: threading.Event
    ) -> dict[int, Group]:
        """Decode groups that others may be waiting for."""
        try:
            decoded = decode(block, series, dict.fromkeys(mine))
            self._keep(block.name, decoded, dict.fromkeys(mine))
        finally:
            with self._lock:
                for g in mine:
                    del self._decoding[block.name, g]
            done.set()
        return decoded

    def _keep(self, name: str, decoded: Mapping[int, Group], rows: Mapping[int, Rows | None]) -> None:
        if sum(group.nbytes for group in decoded.values()) > self._limit // 2:
            return
        with self._lock:
            for g, group in decoded.items():
                if (name, g, rows[g]) not in self._groups:
                    self._groups[name, g, rows[g]] = group
                    self.nbytes += group.nbytes
            while self.nbytes > self._limit:
                _, dropped = self._groups.popitem(last=False)
                self.nbytes -= dropped.nbytes


def _are_few(series: BlockSeries, group: int, rows: Rows) -> bool:
    """Whether they are read alone: always where only their own series are known, and so their scales."""
    size = int(series.group_starts[group + 1] - series.group_starts[group])
    return not series.whole or (rows[1] - rows[0]) * FEW_ROWS <= size


def decode(
    block: Block, series: BlockSeries, groups: Mapping[int, Rows | None], alone: bool = False
) -> dict[int, Group]:
    """Read and decode row groups, of each all rows or some; nothing where the block is damaged.

    `alone`: only those that our own reader can decode, which Arrow's would decode whole.
    """
    path = block.path(SAMPLES)
    if path is None or block.damaged or not groups:
        return {}
    try:
        found = _by_pages(path, series, groups)
        rest = [] if alone else [g for g in groups if g not in found]
        return found | _by_arrow(path, series, rest) if rest else found
    except (OSError, pa.ArrowException):
        if block.sound():
            raise
        return {}


def _by_pages(path: Path, series: BlockSeries, groups: Mapping[int, Rows | None]) -> dict[int, Group]:
    """Those that our own reader can decode, some at a time."""
    found: dict[int, Group] = {}
    left = deque(groups.items())
    file = os.open(path, os.O_RDONLY)
    try:
        while left:
            some = [left.popleft() for _ in range(min(len(left), UNPACKED_TOGETHER))]
            works = ((g, _work(file, series, g, rows)) for g, rows in some)
            found |= _side_by_side(works, are_many=len(some) >= DECODED_TOGETHER)
    finally:
        os.close(file)
    return found


Work = Callable[[], Group | None]


def _side_by_side(works: Iterable[tuple[int, Work | None]], are_many: bool) -> dict[int, Group]:
    """What the works give; many are shared with other cores, which begin at the front while this thread does the last.

    A work needs the interpreter only to begin and to end: threads that take turns at it gain nothing by each other.
    """
    helpers, count = _helpers()
    begun: list[tuple[int, Work, Future[Group | None] | None]] = []
    for g, work in works:
        if work is not None:
            begun.append((g, work, helpers.submit(work) if are_many and count else None))
    found: dict[int, Group | None] = {}
    for g, work, future in reversed(begun):
        found[g] = work() if future is None or future.cancel() else future.result()
    return {g: group for g, group in found.items() if group is not None}


def _work(file: int, series: BlockSeries, group: int, rows: Rows | None) -> Work | None:
    """What is left to do of a row group that was read and unpacked; None where our own reader cannot."""
    place = pages.place(series.footer, group) if series.whole or rows is not None else None
    if place is None:
        return None
    first, stop = rows or (0, place.rows)
    unpacked = pages.unpacked(file, place, first, stop)
    return None if unpacked is None else partial(_of_pages, unpacked, series, int(series.group_starts[group]))


def _of_pages(unpacked: pages.Unpacked, series: BlockSeries, base: int) -> Group | None:
    decoded = unpacked.decoded()
    if decoded is None:
        return None
    powers = series.row_powers(base + unpacked.first, base + unpacked.stop)
    return Group(decoded[0], _scaled(decoded[1], powers), unpacked.first)


@cache
def _helpers() -> tuple[ThreadPoolExecutor, int]:
    """Threads that decode beside the one that asks; they wait for nothing."""
    count = max(len(os.sched_getaffinity(0)) - 1, 0)
    return ThreadPoolExecutor(max(count, 1), "obs-decode"), count


def _scaled(ints: I64, powers: F64 | float) -> F64:
    """Integers as values; in the same memory, where all have one power: new memory costs as much as the work."""
    if isinstance(powers, float):
        from obs.tsdb.kernels_pages import quotients

        return quotients(ints, powers)
    return ints / powers


def _by_arrow(path: Path, series: BlockSeries, groups: Sequence[int]) -> dict[int, Group]:
    """Any row group, by Arrow's reader."""
    with pq.ParquetFile(path, metadata=series.footer) as file:
        parts = [(g, _read(file, series, g)) for g in groups]
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
