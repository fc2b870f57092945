"""Blocks and head made ready to be read, and kept so: footers and traces tables of blocks, sorted runs of the head."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.foundrows import FoundRows
from obs.columnar.head import concatenate
from obs.columnar.view import View
from obs.tracestore import limits
from obs.tracestore.filenames import SPANS
from obs.tracestore.headruns import SortedRuns
from obs.tracestore.ids import Words
from obs.tracestore.keptedges import KeptEdges
from obs.tracestore.repeats import Repeats
from obs.tracestore.sources import BlockSource, MemorySource, Rows, Source
from obs.tracestore.splitrows import SplitRows
from obs.tracestore.splits import SplitTraces


class OpenedSources:
    """What stays open between queries; shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: dict[str, BlockSource] = {}
        self._found = FoundRows()
        self.runs = SortedRuns()
        self.splits = SplitTraces()
        self.split_rows = SplitRows()
        self.edges = KeptEdges()
        self.repeats = Repeats(self.splits)

    def snapshot(self, view: View) -> Snapshot:
        """A view's blocks, opened, and its head."""
        self._open(view.blocks)
        blocks = [source for block in view.blocks if (source := self._block(block)) is not None]
        self._shrink(view.blocks)
        return Snapshot(self, blocks, view)

    def _open(self, blocks: Sequence[Block]) -> None:
        """Open those that are not, where they are several: the first query after a start waits for all of them."""
        with self._lock:
            unopened = [block for block in blocks if block.name not in self._blocks]
        if len(unopened) > 1:
            with ThreadPoolExecutor(limits.SCAN_THREADS) as pool:
                list(pool.map(self._block, unopened))

    def _block(self, block: Block) -> BlockSource | None:
        with self._lock:
            found = self._blocks.get(block.name)
        if found is not None:
            return None if block.damaged else found
        opened = BlockSource.open(block, self._found)
        if opened is not None:
            with self._lock:
                self._blocks[block.name] = opened
        return opened

    def _shrink(self, alive: Sequence[Block]) -> None:
        """Forget blocks that are gone, and past the limit of memory those with the oldest spans.

        Not the least recently used: queries go over all blocks in turn, and would find none of them again.
        """
        with self._lock:
            kept: dict[str, BlockSource] = {}
            held = 0
            for block in sorted(alive, key=lambda b: b.meta.max_ns, reverse=True):
                source = self._blocks.get(block.name)
                held += 0 if source is None else source.nbytes
                if source is not None and held <= limits.INDEXES_BYTES:
                    kept[block.name] = source
            self._blocks = kept


@dataclass(frozen=True, slots=True)
class Counted:
    """`superseded`: rows of blocks, by their name, that a later place has too; `head`: its rows that count."""

    superseded: dict[str, Rows]
    head: pa.Table


class Snapshot:
    """The places to read of one instant: blocks in the order they were written, then the head."""

    def __init__(self, opened: OpenedSources, blocks: list[BlockSource], view: View) -> None:
        self._opened = opened
        self._view = view
        self.blocks = blocks

    @cached_property
    def head_rows(self) -> pa.Table:
        """The head as it came."""
        return self._view.head(SPANS)

    @cached_property
    def runs(self) -> list[MemorySource]:
        """The head, sorted: a place each run."""
        return self._opened.runs.sources(self._view.head_runs(SPANS))

    @cached_property
    def sources(self) -> list[Source]:
        """All places; of the head one a run."""
        return [*self.blocks, *self.runs]

    def repeats(self) -> list[Rows]:
        """Of each source the rows whose span stands in a later one too, ascending."""
        return self._opened.repeats.rows(self.blocks, self.runs)

    def counted(self) -> Counted:
        """What is left where each span counts once."""
        blocks, rows = len(self.blocks), self.repeats()
        heads = [run.counted(gone) for run, gone in zip(self.runs, rows[blocks:], strict=True)]
        return Counted(dict(zip((b.name for b in self.blocks), rows[:blocks], strict=True)), concatenate(heads))

    def split_keys(self) -> Words:
        """See `SplitTraces.keys`."""
        return self._opened.splits.keys(self.sources)
