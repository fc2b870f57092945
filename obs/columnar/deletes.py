"""Deletes at work: heads are made anew in memory, blocks get tombstones until a merge or `clean` drops their rows.

A delete begins a new generation, so that what is written after it is told from what it hides; then its file is
written; then heads and blocks change for every view taken from now on, in one instant. See FORMAT.md.
"""

from __future__ import annotations

import logging

from obs.columnar.append import Appender
from obs.columnar.disk import sync_folder
from obs.columnar.erasing import erasing, head_without, touched
from obs.columnar.filenames import BLOCKS, segment_generation
from obs.columnar.head import Head
from obs.columnar.recovery import find_segments
from obs.columnar.state import EngineState
from obs.columnar.tombstones import Tombstone, remove_tombstones, write_tombstone
from obs.errors import StorageFull

log = logging.getLogger(__name__)


class Deleter:
    """Takes the deletes of one engine, and lets their tombstones go."""

    def __init__(self, state: EngineState, appender: Appender) -> None:
        self._state = state
        self._appender = appender
        self._examined: set[str] = set()  # blocks that are known to be touched by each of their tombstones

    def delete(self, payload: bytes, min_ns: int, max_ns: int) -> None:
        """Hide rows of min_ns..max_ns that `payload` names and that were appended before; durable when it returns.

        Old segments must have been read back. Raises: StorageFull, Unavailable after `close`, UserError.
        """
        state = self._state
        erasing(state.layout)
        with state.merging, state.flushing:
            before = self._appender.rotate() + 1
            tombstone = Tombstone(state.last_delete + 1, before, min_ns, max_ns, payload)
            heads = self._heads_without(tombstone)
            blocks = [b for b in state.blockset.blocks if touched(state.layout, b, [tombstone])]
            try:
                write_tombstone(state.folder, tombstone)
            except OSError as e:
                raise StorageFull(
                    f"cannot delete from {state.layout.name!r}: {e.strerror}; free space in {str(state.folder)!r}"
                ) from e
            state.hide(tombstone, heads, [b.hiding([*b.tombstones, tombstone]) for b in blocks])
        state.counters.deletes += 1

    def _heads_without(self, tombstone: Tombstone) -> list[Head]:
        state = self._state
        with state.changed:
            old = [head for head in state.frozen if head.high < tombstone.before]
        return [head_without(state.layout, head, tombstone) for head in old]

    def let_go(self) -> None:
        """Forget tombstones that hide nothing any more: no block has rows of theirs, and no segment could."""
        state = self._state
        if not state.tombstones:
            return
        with state.merging, state.flushing:
            self._examine()
            segments = [segment_generation(p) or 0 for p in find_segments(state.folder)]
            oldest = min(segments, default=state.first_new)
            held = {t.sequence for block in state.blockset.blocks for t in block.tombstones}
            idle = [t for t in state.tombstones if t.sequence not in held and t.before <= oldest]
            if not idle:
                return
            self._settle_removals()
            remove_tombstones(state.folder, idle)
            state.tombstones = tuple(t for t in state.tombstones if t not in idle)
        log.info("%r: %d deletes are done with", state.layout.name, len(idle))

    def _examine(self) -> None:
        """Blocks found at open have the tombstones of their time; let go of those that touch nothing in them."""
        state = self._state
        live = [b for b in state.blockset.blocks if b.tombstones]
        for block in live:
            if block.name not in self._examined:
                left = touched(state.layout, block, block.tombstones)
                if len(left) < len(block.tombstones):
                    state.amend_blocks([block.hiding(left)])
        self._examined = {b.name for b in live}

    def _settle_removals(self) -> None:
        """Blocks that went are gone for good before what hid their rows is. Raises: OSError."""
        sync_folder(self._state.folder / BLOCKS)
        with self._state.changed:
            awaited = self._state.blockset.awaited()
        for block in awaited:
            sync_folder(block.folder)
