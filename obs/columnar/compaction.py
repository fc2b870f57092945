"""Fewer, larger blocks: neighbours of one partition merged by the layout, in the background or by hand."""

from __future__ import annotations

import logging
import math
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.filenames import temporary_path
from obs.columnar.flush import drop_segments, load_blocks, write_block
from obs.columnar.head import concatenate
from obs.columnar.limits import COMPACT_FAN_IN, COMPACT_LEVEL_BYTES, COMPACT_REST
from obs.columnar.options import EngineOptions
from obs.columnar.state import EngineState

log = logging.getLogger(__name__)

_one_merge = threading.Lock()
"""One merge at a time in the process: three stores that merge at once would take three times the memory."""


def level(block: Block) -> int:
    """Blocks of one level are of a like size, within a factor of the fan-in."""
    return max(0, math.ceil(math.log(max(1, block.meta.decoded_bytes) / COMPACT_LEVEL_BYTES, COMPACT_FAN_IN)))


def overtakes(run: Sequence[Block], blocks: Iterable[Block]) -> bool:
    """Whether merging `run` would move rows past a block of another partition that may hold equal keys.

    A merged block stands where the run's last one stood; blocks between that share times must not be passed.
    """
    names = {b.name for b in run}
    last = run[-1].order
    return any(
        early.order < other.order <= last
        and early.meta.min_ns <= other.meta.max_ns
        and other.meta.min_ns <= early.meta.max_ns
        for other in blocks
        if other.name not in names
        for early in run
    )


def plan_merge(blocks: Sequence[Block], options: EngineOptions, fan_in: int = COMPACT_FAN_IN) -> list[Block]:
    """The next blocks to merge, in write order; none where no merge is worth its writing.

    At least `fan_in` neighbours in one partition, of the lowest level where that many are found.
    """
    by_partition: dict[str, list[Block]] = defaultdict(list)
    for block in blocks:
        by_partition[block.meta.partition].append(block)
    candidates = []
    for members in by_partition.values():
        for top in sorted({level(b) for b in members}):
            run = _first_run(members, blocks, top, options, fan_in)
            if run:
                candidates.append((top, -len(run), run))
                break
    return min(candidates, key=lambda c: c[:2])[2] if candidates else []


def _first_run(
    members: Sequence[Block], blocks: Sequence[Block], top: int, options: EngineOptions, fan_in: int
) -> list[Block]:
    """The first `fan_in` or more neighbours up to level `top` that fit one merge; else none."""
    run: list[Block] = []
    for block in members:
        longer = [*run, block]
        if level(block) <= top and _fits(longer, options) and not overtakes(longer, blocks):
            run = longer
            continue
        if len(run) >= fan_in:
            return run
        run = [block] if level(block) <= top and _fits([block], options) else []
    return run if len(run) >= fan_in else []


def _fits(run: Sequence[Block], options: EngineOptions) -> bool:
    rows = sum(sum(b.meta.table_rows.values()) for b in run)
    return rows <= options.compact_max_rows and sum(b.meta.decoded_bytes for b in run) <= options.compact_max_bytes


class Compactor:
    """Merges blocks of one engine."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    def step(self) -> float:
        """At most one merge; returns the seconds to rest."""
        began = time.monotonic()
        if not self._merge_next(COMPACT_FAN_IN):
            return self._state.options.compact_interval_s
        return (time.monotonic() - began) * COMPACT_REST

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
            run = plan_merge(state.blockset.blocks, state.options, fan_in)
            if not run:
                return False
            try:
                self._merge(run)
            except Exception:
                state.counters.compaction_failures += 1
                raise
        state.counters.compactions += 1
        return True

    def _merge(self, run: Sequence[Block]) -> None:
        """One new block for `run`; nothing where an input proves damaged, which goes to quarantine by itself."""
        state = self._state
        tables = {t.name: self._read(run, t.name) for t in state.layout.tables}
        if any(b.damaged for b in run):
            return
        staging = temporary_path(state.folder, "merge")
        staging.mkdir()
        try:
            generations = (min(b.meta.low for b in run), run[-1].meta.high)
            write_block(state, staging, run[0].meta.partition, generations, tables, [b.name for b in run])
            commit = state.storage.commit(staging, ())
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        state.replace_blocks(load_blocks(state, commit.blocks), run)
        drop_segments(state, commit)

    @staticmethod
    def _read(run: Sequence[Block], table: str) -> pa.Table:
        return concatenate([block.read(table, use_threads=False) for block in run if block.path(table)])
