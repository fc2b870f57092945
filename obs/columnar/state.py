"""What the engine's parts share: the heads, the blocks, the counters, and the lock around them.

A view taken under the lock sees a row either in a head or in a block, never in both and never in none.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.blockset import BlockSet, remove_files
from obs.columnar.counters import Counters
from obs.columnar.filenames import quarantine_path
from obs.columnar.head import Head
from obs.columnar.layout import Layout, Lean
from obs.columnar.options import EngineOptions
from obs.columnar.storage import Storage
from obs.columnar.tombstones import Tombstone
from obs.columnar.view import View
from obs.model.clock import Clock

log = logging.getLogger(__name__)


def _nothing_kept(block: Block) -> None:
    """For stores that keep no file of a block open."""


class EngineState:
    """Heads and blocks of one engine. `changed` guards both and is notified when heads come or go."""

    def __init__(self, layout: Layout, folder: Path, options: EngineOptions, clock: Clock, storage: Storage) -> None:
        self.layout = layout
        self._lean = layout if isinstance(layout, Lean) else None
        self.folder = folder
        self.options = options
        self.clock = clock
        self.storage = storage
        self.counters = Counters()
        self.changed = threading.Condition()
        self.merging = (
            threading.Lock()
        )  # held by whoever takes blocks away or hides rows: compaction, retention, deletes
        self.flushing = threading.Lock()  # held by whoever takes heads away: flush, deletes; after `merging`
        self.blockset = BlockSet()
        self.tombstones: tuple[Tombstone, ...] = ()  # oldest first
        self.last_delete = 0  # sequence of the youngest delete that blocks or tombstones know of
        self.active = self.new_head(0)
        self.frozen: list[Head] = []  # oldest first
        self.frozen_bytes = 0
        self.replaying: Head | None = None  # older than every other head
        self.recovering: float | None = None
        self.closed = False  # set under `merging`: the folder may be another engine's
        self.let_go: Callable[[Block], None] = _nothing_kept  # called before a block's files are deleted
        self.first_new = 0  # generations from this on were written by this process

    def new_head(self, generation: int) -> Head:
        """An empty head of the layout's tables."""
        return Head(generation, [t.name for t in self.layout.tables], self.last_delete)

    @property
    def heads(self) -> list[Head]:
        """All heads, oldest first."""
        replaying = [self.replaying] if self.replaying is not None else []
        old = [h for h in self.frozen if h.high < self.first_new]
        return [*old, *replaying, *(h for h in self.frozen if h.high >= self.first_new), self.active]

    @property
    def head_bytes(self) -> int:
        """Memory of all heads."""
        replaying = self.replaying
        return self.active.nbytes + self.frozen_bytes + (replaying.nbytes if replaying is not None else 0)

    def add_rows(self, parts: Sequence[tuple[str, pa.RecordBatch]]) -> None:
        """Make written batches visible, all at once."""
        held = self._held(parts)
        with self.changed:
            self.active.add(held)
        self.counters.rows += sum(batch.num_rows for _, batch in parts)

    def add_replayed(self, parts: Sequence[tuple[str, pa.RecordBatch]]) -> None:
        """Make read-back batches visible, all at once."""
        assert self.replaying is not None
        held = self._held(parts)
        with self.changed:
            self.replaying.add(held)
        self.counters.rows_replayed += sum(batch.num_rows for _, batch in parts)

    def _held(self, parts: Sequence[tuple[str, pa.RecordBatch]]) -> Sequence[tuple[str, pa.RecordBatch]]:
        lean = self._lean
        return parts if lean is None else [(name, lean.held(name, batch)) for name, batch in parts]

    def freeze_active(self, generation: int) -> None:
        """Begin a new head; the old one waits for its flush."""
        with self.changed:
            self._freeze(self.active)
            self.active = self.new_head(generation)
            self.changed.notify_all()

    def freeze_replayed(self) -> None:
        """The read-back rows so far wait for their flush, before everything newer."""
        with self.changed:
            head, self.replaying = self.replaying, None
            if head is not None:
                self._freeze(head)
                self.changed.notify_all()

    def _freeze(self, head: Head) -> None:
        self.frozen.append(head)
        self.frozen.sort(key=lambda h: h.high)
        self.frozen_bytes += head.nbytes

    def next_frozen(self) -> Head | None:
        """The oldest frozen head, but for new ones while older rows may still be read back."""
        with self.changed:
            if not self.frozen or (self.recovering is not None and self.frozen[0].high >= self.first_new):
                return None
            return self.frozen[0]

    def flushed(self, head: Head, blocks: Iterable[Block]) -> None:
        """A frozen head's rows are in `blocks` from now on."""
        with self.changed:
            self.blockset.add(blocks)
            self.frozen.remove(head)
            self.frozen_bytes -= head.nbytes
            self.counters.flushes += 1
            self.changed.notify_all()

    def replace_blocks(self, new: Iterable[Block], old: Sequence[Block]) -> None:
        """Swap blocks; files of the old ones go when no view sees them."""
        with self.changed:
            unseen = self.blockset.replace(new, old)
            awaited = [b for b in self.blockset.awaited() if b in old]
        self._remove(unseen, awaited)

    def hide(self, tombstone: Tombstone, heads: Sequence[Head], blocks: Iterable[Block]) -> None:
        """A delete takes effect: `heads` in the place of those with the same segments, `blocks` likewise."""
        with self.changed:
            for head in heads:
                at = next(i for i, old in enumerate(self.frozen) if old.low == head.low)
                self.frozen_bytes += head.nbytes - self.frozen[at].nbytes
                self.frozen[at] = head
            self.blockset.amend(blocks)
            self.tombstones += (tombstone,)
            self.last_delete = tombstone.sequence

    def amend_blocks(self, blocks: Iterable[Block]) -> None:
        """Blocks in the place of those of the same name."""
        with self.changed:
            self.blockset.amend(blocks)

    def view(self) -> View:
        """A consistent snapshot of everything."""
        with self.changed:
            version, blocks = self.blockset.pin()
            heads = [(head, head.marks()) for head in self.heads if not head.empty]
        return View(blocks, heads, lambda: self._release(version))

    def _release(self, version: int) -> None:
        with self.changed:
            unseen = self.blockset.unpin(version)
        self._remove(unseen)

    def _remove(self, unseen: Sequence[Block], awaited: Iterable[Block] = ()) -> None:
        for block in unseen:
            self.let_go(block)
        remove_files(self.storage, unseen, awaited)

    def quarantine(self, block: Block, damage: str) -> None:
        """Move a damaged block out of the way; the rest is served."""
        with self.changed:
            if not self.blockset.forget(block):
                return
            self.counters.quarantined += 1
        quarantine_folder(self.folder, block.folder, damage)


def quarantine_folder(folder: Path, damaged: Path, damage: str) -> None:
    """Move a block folder to quarantine/ and say so."""
    target = quarantine_path(folder, damaged.name)
    log.error("block %r is damaged: %s; moved to %r, the rest is served", damaged.name, damage, str(target))
    try:
        shutil.move(damaged, target)
    except OSError as e:
        log.error("cannot move block %r to quarantine: %s", damaged.name, e)
