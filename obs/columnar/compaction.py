"""Fewer, larger blocks: neighbours of one partition merged by the layout, in the background or by hand."""

from __future__ import annotations

import bisect
import logging
import math
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.erasing import block_tables
from obs.columnar.filenames import temporary_path
from obs.columnar.flush import committed_blocks, drop_segments, new_block, write_block
from obs.columnar.head import concatenate
from obs.columnar.layout import BlockWriter, Merging
from obs.columnar.limits import (
    COMPACT_FAN_IN,
    COMPACT_LEVEL_BYTES,
    COMPACT_MAX_INPUTS,
    COMPACT_REPEATED,
    COMPACT_REST,
    PACE_BLOCKS,
    PACE_BYTES_S,
    PACE_LONGEST_S,
)
from obs.columnar.memory import give_back
from obs.columnar.meta import BlockMeta
from obs.columnar.options import EngineOptions
from obs.columnar.state import EngineState
from obs.errors import CorruptionError, StorageFull

log = logging.getLogger(__name__)

_one_merge = threading.Lock()
"""One merge at a time in the process: three stores that merge at once would take three times the memory."""


def level(block: Block) -> int:
    """Blocks of one level are of a like size, within a factor of the fan-in."""
    return max(0, math.ceil(math.log(max(1, block.meta.decoded_bytes) / COMPACT_LEVEL_BYTES, COMPACT_FAN_IN)))


class _Order:
    """All blocks in write order, to ask what a merge would move its rows past."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks
        self._orders = [b.order for b in blocks]

    def passes(self, run: Sequence[Block], following: Block) -> bool:
        """Whether moving `run` to where `following` stands passes a block that may hold equal keys.

        Only blocks of other partitions stand between neighbours; one that shares times with `run` forbids it.
        """
        first = bisect.bisect_right(self._orders, run[-1].order)
        after = bisect.bisect_right(self._orders, following.order)
        low, high = min(b.meta.min_ns for b in run), max(b.meta.max_ns for b in run)
        return any(
            low <= other.meta.max_ns and other.meta.min_ns <= high
            for other in self._blocks[first:after]
            if other is not following and other.meta.partition != following.meta.partition
        )


Held = Callable[[Block], int | None]
"""Decoded bytes of a block that a merge holds where the layout merges blocks as it reads them; None: it does not."""


def _whole(_: Block) -> None:
    """Blocks that are read whole."""


def plan_merge(
    blocks: Sequence[Block], options: EngineOptions, fan_in: int = COMPACT_FAN_IN, held: Held = _whole
) -> list[Block]:
    """The next blocks to merge, in write order; none where no merge is worth its writing.

    At least `fan_in` neighbours in one partition, of the lowest level where that many are found; else two that shrink.
    """
    order = _Order(blocks)
    by_partition: dict[str, list[Block]] = defaultdict(list)
    for block in blocks:
        by_partition[block.meta.partition].append(block)
    candidates = []
    for members in by_partition.values():
        for top in sorted({level(b) for b in members}):
            run = _first_run(members, order, top, options, fan_in, held)
            if run:
                candidates.append((top, -len(run), run))
                break
    if candidates:
        return min(candidates, key=lambda c: c[:2])[2]
    return next((pair for members in by_partition.values() for pair in _shrinking(members, order, options)), [])


def _shrinking(members: Sequence[Block], order: _Order, options: EngineOptions) -> Iterator[list[Block]]:
    """Neighbours whose last merges dropped so many repeated rows that theirs will do so again."""
    for left, right in pairwise(members):
        if _repeats(left) and _repeats(right) and _fits([left, right], options) and not order.passes([left], right):
            yield [left, right]


def _repeats(block: Block) -> bool:
    return bool(block.meta.replaces) and block.meta.rows <= COMPACT_REPEATED * block.meta.rows_in


def _first_run(
    members: Sequence[Block], order: _Order, top: int, options: EngineOptions, fan_in: int, held: Held
) -> list[Block]:
    """The first `fan_in` or more neighbours up to level `top` that fit one merge; else none."""
    run: list[Block] = []
    for block in members:
        small = level(block) <= top and _fits([block], options, held)
        if small and run and _fits([*run, block], options, held) and not order.passes(run, block):
            run.append(block)
            continue
        if len(run) >= fan_in:
            return run
        run = [block] if small else []
    return run if len(run) >= fan_in else []


def _fits(run: Sequence[Block], options: EngineOptions, held: Held = _whole) -> bool:
    if len(run) > COMPACT_MAX_INPUTS:
        return False
    if sum(sum(b.meta.table_rows.values()) for b in run) > options.compact_max_rows:
        return False
    parts = [n for n in map(held, run) if n is not None]
    nbytes = sum(parts) if len(parts) == len(run) else sum(b.meta.decoded_bytes for b in run)
    return nbytes <= options.compact_max_bytes


def waiting(blocks: Sequence[Block], options: EngineOptions) -> int:
    """How many blocks wait for merges: small neighbours, as many as a merge takes. Others may stay as they are."""
    order = _Order(blocks)
    by_partition: dict[str, list[Block]] = defaultdict(list)
    for block in blocks:
        by_partition[block.meta.partition].append(block)
    runs = (run for members in by_partition.values() for run in _small_runs(members, order, options))
    return sum(len(run) for run in runs if len(run) >= COMPACT_FAN_IN)


def _small_runs(members: Sequence[Block], order: _Order, options: EngineOptions) -> Iterator[list[Block]]:
    """Neighbours in one partition that are small (or repeat each other) and may be merged."""
    run: list[Block] = []
    for block in members:
        small = _repeats(block) or block.meta.decoded_bytes * COMPACT_FAN_IN <= options.compact_max_bytes
        if not small or (run and order.passes(run[-1:], block)):
            yield run
            run = []
        if small:
            run.append(block)
    yield run


def rest_factor(blocks: Sequence[Block], options: EngineOptions) -> float:
    """How long to rest after a merge, in times that it took: less the more blocks wait."""
    behind = waiting(blocks, options)
    return next((factor for limit, factor in COMPACT_REST if behind <= limit), 0.0)


def pause_s(behind: int, nbytes: int) -> float:
    """How long the answer to an append waits while `behind` blocks do, so that senders do not outrun compaction."""
    over = behind - PACE_BLOCKS
    return min(PACE_LONGEST_S, nbytes * over / PACE_BYTES_S) if over > 0 else 0.0


class _TooManyRows(Exception):
    """The layout needs all rows of blocks that were to be merged as they are read."""


class Compactor:
    """Merges blocks of one engine."""

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._counted: tuple[Sequence[Block], int] = ((), 0)
        self._needs_all: set[str] = set()  # blocks that the layout could not merge as it read them

    @property
    def behind(self) -> int:
        """Blocks that may still be merged."""
        blocks = self._state.blockset.blocks
        if self._counted[0] is not blocks:
            self._counted = blocks, waiting(blocks, self._state.options)
        return self._counted[1]

    def step(self) -> float:
        """At most one merge; returns the seconds to rest."""
        began, layout = time.monotonic(), self._state.layout
        waits = isinstance(layout, Merging) and not layout.may_merge()
        if waits or not self._merge_next(COMPACT_FAN_IN):
            return self._state.options.compact_interval_s
        return (time.monotonic() - began) * rest_factor(self._state.blockset.blocks, self._state.options)

    def run(self, progress: Callable[[float], None] | None = None) -> int:
        """Merge until no two neighbours are left that fit one block; returns the number of merges."""
        merges = 0
        before = len(self._state.blockset.blocks)
        while self._merge_next(2):
            merges += 1
            if progress is not None:
                progress(1.0 - 1.0 / (1.0 + merges) if before else 1.0)
        if progress is not None:
            progress(1.0)
        return merges

    def _merge_next(self, fan_in: int) -> bool:
        state = self._state
        with _one_merge, state.merging:
            run = plan_merge(state.blockset.blocks, state.options, fan_in, self._held)
            if not run or state.closed:
                return False
            try:
                self._merge(run)
            except _TooManyRows:
                self._needs_all.update(b.name for b in run)
                return True  # others may be merged
            except Exception:
                state.counters.compaction_failures += 1
                raise
        state.counters.compactions += 1
        return True

    def _merge(self, run: Sequence[Block]) -> None:
        """Swap `run` for its merger. Raises: StorageFull, what the layout's `write_block` raises; all is as before."""
        try:
            self._merge_into_one(run)
        except OSError as e:
            folder = str(self._state.folder)
            raise StorageFull(f"cannot merge blocks in {folder!r}: {e.strerror or e}; free space in it") from e

    def _merge_into_one(self, run: Sequence[Block]) -> None:
        """One new block for `run`; nothing where an input proves damaged, which goes to quarantine by itself."""
        state = self._state
        staging = temporary_path(state.folder, "merge")
        staging.mkdir()
        try:
            meta = self._written(run, staging)
            if any(b.damaged for b in run):
                return
            commit = state.storage.commit(staging, ()) if meta is not None else None
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        if meta is None or commit is None:
            state.replace_blocks((), run)
            return
        state.replace_blocks(committed_blocks(state, commit, [meta]), run)
        drop_segments(state, commit)
        give_back()

    def _written(self, run: Sequence[Block], staging: Path) -> BlockMeta | None:
        """One block of what is not hidden of `run`; None where nothing is left, or one of them is damaged."""
        state = self._state
        generations = (min(b.meta.low for b in run), run[-1].meta.high)
        partition, names = run[0].meta.partition, [b.name for b in run]
        try:
            merge = self._merging(run)
            if merge is not None:
                bounds = min(b.meta.min_ns for b in run), max(b.meta.max_ns for b in run)
                rows = sum(b.meta.rows for b in run)
                return new_block(state, staging, partition, generations, merge, bounds, rows, names, state.last_delete)
        except CorruptionError:
            if any(b.damaged for b in run):
                return None
            raise
        if not _fits(run, state.options) and _fits(run, state.options, self._held):
            raise _TooManyRows
        tables = self._read(run)
        if any(b.damaged for b in run) or not any(table.num_rows for table in tables.values()):
            return None
        return write_block(state, staging, partition, generations, tables, names, state.last_delete)

    def _held(self, block: Block) -> int | None:
        layout = self._state.layout
        if not isinstance(layout, Merging) or block.tombstones or block.name in self._needs_all:
            return None
        return block.meta.bytes_beside(layout.piece_by_piece)

    def _merging(self, run: Sequence[Block]) -> Callable[[BlockWriter], Mapping[str, Any]] | None:
        """How the layout merges some blocks as it reads them, where it can."""
        layout = self._state.layout
        return layout.merging(run) if isinstance(layout, Merging) and not any(b.tombstones for b in run) else None

    def _read(self, run: Sequence[Block]) -> Mapping[str, pa.Table]:
        """What is not deleted of some blocks, one below the other."""
        layout = self._state.layout
        parts = [block_tables(layout, block) for block in run]
        return {t.name: concatenate([tables[t.name] for tables in parts]) for t in layout.tables}

    def clean(self, progress: Callable[[float], None] | None = None) -> int:
        """Write each block anew that has deleted rows; returns their number."""
        state = self._state
        names = [b.name for b in state.blockset.blocks if b.tombstones]
        for done, name in enumerate(names):
            with _one_merge, state.merging:
                block = next((b for b in state.blockset.blocks if b.name == name), None)
                if block is not None and not state.closed:
                    self._merge([block])
                    state.counters.blocks_cleaned += 1
            if progress is not None:
                progress((done + 1) / len(names))
        return len(names)
