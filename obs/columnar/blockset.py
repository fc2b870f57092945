"""The live blocks, in write order, and when the files of those that went may go: once no view sees them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable

from obs.columnar.block import Block
from obs.columnar.storage import Storage

log = logging.getLogger(__name__)


class BlockSet:
    """Every change makes a new version; a view pins the one it took. Callers hold the engine's state lock.

    `retire` and `unpin` return blocks whose files nobody can see any more: pass them to `remove_files`, unlocked.
    """

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        self.blocks: tuple[Block, ...] = tuple(sorted(blocks, key=lambda b: b.order))
        self._version = 0
        self._pins: Counter[int] = Counter()
        self._gone: list[tuple[int, Block]] = []  # (first version without it, block)

    def add(self, blocks: Iterable[Block]) -> None:
        """New blocks."""
        self.replace(blocks, ())

    def replace(self, new: Iterable[Block], old: Collection[Block]) -> list[Block]:
        """Put `new` in the place of `old`; returns what of `old` nobody sees any more."""
        gone = {b.name for b in old}
        kept = [b for b in self.blocks if b.name not in gone]
        present = [b for b in self.blocks if b.name in gone]
        self.blocks = tuple(sorted([*kept, *new], key=lambda b: b.order))
        self._version += 1
        self._gone += [(self._version, block) for block in present]
        return self._unseen()

    def amend(self, changed: Iterable[Block]) -> None:
        """Put blocks in the place of those of the same name; the files are the same."""
        by_name = {b.name: b for b in changed}
        self.blocks = tuple(by_name.get(b.name, b) for b in self.blocks)
        self._version += 1

    def forget(self, block: Block) -> bool:
        """Leave out a block whose files are of no use; False where that was done already."""
        live = [*self.blocks, *(b for _, b in self._gone)]
        if all(b.name != block.name for b in live):
            return False
        self.blocks = tuple(b for b in self.blocks if b.name != block.name)
        self._gone = [(v, b) for v, b in self._gone if b.name != block.name]
        self._version += 1
        return True

    def pin(self) -> tuple[int, tuple[Block, ...]]:
        """The blocks as they stand, kept on disk until `unpin` of the version."""
        self._pins[self._version] += 1
        return self._version, self.blocks

    def unpin(self, version: int) -> list[Block]:
        """Let go of a version."""
        self._pins[version] -= 1
        if not self._pins[version]:
            del self._pins[version]
        return self._unseen()

    @property
    def pinned(self) -> int:
        """How many views are open."""
        return sum(self._pins.values())

    def _unseen(self) -> list[Block]:
        oldest = min(self._pins, default=self._version)
        unseen = [block for version, block in self._gone if version <= oldest]
        self._gone = [(version, block) for version, block in self._gone if version > oldest]
        return unseen

    def awaited(self) -> list[Block]:
        """Blocks that are gone but for open views."""
        return [block for _, block in self._gone]


def remove_files(storage: Storage, unseen: Iterable[Block], awaited: Iterable[Block] = ()) -> None:
    """Delete the files of `unseen`, mark `awaited` so that no restart brings them back."""
    for blocks, in_use in ((unseen, False), (awaited, True)):
        for block in blocks:
            block.removed = not in_use
            try:
                storage.remove(block.folder, in_use=in_use)
            except OSError as e:
                log.warning("cannot remove block %r: %s; the next start does", block.name, e.strerror)
