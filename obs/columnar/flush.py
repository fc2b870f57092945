"""Frozen heads become blocks: split by partition, written by the layout, committed together, WAL segments gone."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from obs.columnar.block import Block, BlockFolderWriter, describe
from obs.columnar.disk import sync_folder
from obs.columnar.filenames import WAL, block_name, segment_path, temporary_path
from obs.columnar.head import Head
from obs.columnar.layout import BlockWriter, Piecewise
from obs.columnar.limits import DAY_NS, FLUSH_BACKOFF_S
from obs.columnar.memory import give_back
from obs.columnar.meta import BlockMeta
from obs.columnar.partition import split, time_range
from obs.columnar.state import EngineState
from obs.columnar.storage import Commit

log = logging.getLogger(__name__)


def write_block(
    state: EngineState,
    folder: Path,
    partition: str,
    generations: tuple[int, int],
    tables: Mapping[str, pa.Table],
    replaces: Sequence[str] = (),
    erased: int = 0,
) -> BlockMeta:
    """One block in a new folder under `folder`, by way of the layout."""
    bounds = time_range(tables, state.layout.tables) or (state.clock.now_ns() // DAY_NS * DAY_NS,) * 2
    rows_in = tables[state.layout.tables[0].name].num_rows
    write = partial(state.layout.write_block, tables)
    return new_block(state, folder, partition, generations, write, bounds, rows_in, replaces, erased)


def new_block(
    state: EngineState,
    folder: Path,
    partition: str,
    generations: tuple[int, int],
    write: Callable[[BlockWriter], Mapping[str, Any]],
    bounds: tuple[int, int],
    rows_in: int,
    replaces: Sequence[str] = (),
    erased: int = 0,
) -> BlockMeta:
    """One block in a new folder under `folder` of what `write` puts there, made of so many rows in these times."""
    name = block_name(partition, *generations)
    writer = BlockFolderWriter(folder / name)
    extra = write(writer)
    items, now_ns = state.layout.tables[0].name, state.clock.now_ns()
    meta = describe(name, partition, generations, bounds, writer, items, extra, now_ns, replaces, rows_in, erased)
    writer.finish(meta)
    return meta


def committed_blocks(state: EngineState, commit: Commit, metas: Iterable[BlockMeta]) -> list[Block]:
    """What was just committed, as blocks to read."""
    by_name = {meta.name: meta for meta in metas}
    return [Block(folder, by_name[folder.name], state.quarantine) for folder in commit.blocks]


class Flusher:
    """Writes the oldest frozen head; a failure leaves it where it is."""

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._failures = 0
        self._lock = state.flushing
        self.last_error: Exception | None = None

    def step(self) -> float:
        """Flush all that may be; returns the seconds to wait before the next try."""
        with self._lock:
            while (head := self._state.next_frozen()) is not None:
                try:
                    self._flush(head)
                except Exception as e:
                    return self._failed(head, e)
                del head  # or its rows would still be held when free memory is given back
                give_back()
                self._failures = 0
                self.last_error = None
        return 1.0

    def _failed(self, head: Head, error: Exception) -> float:
        wait_s = FLUSH_BACKOFF_S[min(self._failures, len(FLUSH_BACKOFF_S) - 1)]
        log.error(
            "cannot flush head %d of %r: %s; its rows stay in memory and in the WAL, next try in %g s",
            head.high, self._state.layout.name, error, wait_s, exc_info=not isinstance(error, OSError),
        )  # fmt: skip
        self._failures += 1
        with self._state.changed:
            self._state.counters.flush_failures += 1
            self.last_error = error
            self._state.changed.notify_all()
        return wait_s

    def _flush(self, head: Head) -> None:
        state = self._state
        commit, blocks = self._write(head)
        state.flushed(head, blocks)
        state.counters.blocks_written += len(blocks)
        drop_segments(state, commit)

    def _write(self, head: Head) -> tuple[Commit, list[Block]]:
        state = self._state
        few = not isinstance(state.layout, Piecewise)
        tables = {t.name: head.table(t.name, few=few) for t in state.layout.tables}
        staging = temporary_path(state.folder, f"flush-{head.high}")
        staging.mkdir()
        try:
            metas = [
                write_block(state, staging, part.partition, (head.low, head.high), part.tables, (), head.erased)
                for part in split(tables, state.layout.tables, state.clock.now_ns())
            ]
            commit = state.storage.commit(staging, head.segments)
            return commit, committed_blocks(state, commit, metas)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def drop_segments(state: EngineState, commit: Commit) -> None:
    """Delete the WAL segments that a commit covers, then forget that it does. What fails is done at the next open."""
    try:
        for segment in commit.covers:
            segment_path(state.folder, segment).unlink(missing_ok=True)
        sync_folder(state.folder / WAL)
        state.storage.settle(commit)
    except OSError as e:
        log.warning("cannot clean up after flush %r: %s; the next start does", commit.id, e)
