"""What a store brings to the engine: its tables, their order on disk, and its index.

A `Layout` is stateless but for its two hooks; the engine calls `write_block` at flush and at compaction alike,
so a store's sort, dedupe and index code exists once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pyarrow as pa

if TYPE_CHECKING:
    from obs.columnar.block import Block
    from obs.columnar.tombstones import Tombstone


@dataclass(frozen=True, slots=True)
class TableLayout:
    """One table of a store. `time_column` is an int64 column (None: rows have no time of their own)."""

    name: str
    time_column: str | None
    ns_per_tick: int = 1  # 1_000_000 where the column counts milliseconds


class BlockWriter(Protocol):
    """Where a layout writes a block's files; sizes and checksums go to meta.json by themselves."""

    @property
    def name(self) -> str:
        """The block's."""

    def parquet(self, name: str, table: pa.Table, *, row_group_rows: int = 131_072, **options: Any) -> None:
        """Write `<name>.parquet`; zstd level 3 unless `options` (pyarrow.parquet.write_table's) say otherwise."""

    def parquet_parts(
        self, name: str, parts: Iterable[pa.Table], *, row_group_rows: int = 131_072, **options: Any
    ) -> None:
        """The same of tables (one at least) as they are made; row groups end with them and are of a like size."""

    def file(self, filename: str, data: bytes) -> None:
        """Write an index file beside the tables."""


class Layout(Protocol):
    """One store's part in the engine."""

    name: str  # "metrics" | "logs" | "traces": the folder under the data directory, and the label of own metrics
    tables: tuple[TableLayout, ...]  # the first is the one whose rows are counted as items

    def write_block(self, tables: Mapping[str, pa.Table], out: BlockWriter) -> Mapping[str, Any]:
        """Sort, drop what equal keys overwrote (later rows win), write; return JSON-able facts for meta.json.

        Every table of `tables` is there, perhaps empty; rows come in the order they were written. All rows
        belong to one partition. Must not keep references.
        """

    def on_append(self, generation: int, tables: Mapping[str, pa.RecordBatch]) -> Mapping[str, pa.RecordBatch]:
        """Called in the append's critical section, before the WAL is written; returns the tables to write.

        `generation` rises by one whenever a new head and WAL segment begin: what a WAL segment must hold to
        stand alone (the labels of its series) is added here. May raise: nothing of the append is then stored.
        """

    def on_replay(self, tables: Mapping[str, pa.RecordBatch]) -> None:
        """Called for each batch that recovery reads back from the WAL, before it becomes visible."""


@runtime_checkable
class Lean(Protocol):
    """What a layout adds whose heads keep less than the WAL has."""

    def held(self, name: str, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The columns of a batch of table `name` that reads and flushes need, once it is in the WAL."""


@runtime_checkable
class Piecewise(Protocol):
    """What a layout adds that picks rows out of any number of chunks: a head is not put together for its flush."""

    piecewise: bool  # it does


@runtime_checkable
class Merging(Protocol):
    """What a layout adds that merges blocks as it reads them: a merge then takes less memory than its rows."""

    piece_by_piece: Collection[str]  # tables of which a merge reads some rows at a time or none; of others all

    def merging(self, blocks: Sequence[Block]) -> Callable[[BlockWriter], Mapping[str, Any]] | None:
        """What writes blocks (in write order, nothing of them hidden) as one; None where that needs all of their rows.

        It returns what `write_block` does. Both may raise CorruptionError of a block that told its damage by then.
        """

    def may_merge(self) -> bool:
        """Whether merges in the background may begin: not while what they need of blocks is read after a start."""


@runtime_checkable
class Deriving(Protocol):
    """What a layout adds whose blocks leave out what their other columns tell."""

    def read_block(self, block: Block, table: str) -> pa.Table:
        """All rows of a table of a block as they were appended, for a merge; no columns where there are no rows."""


@runtime_checkable
class Erasing(Protocol):
    """What a layout adds whose rows can be deleted; a tombstone's payload is what its store gave `Engine.delete`."""

    def erase(self, tables: Mapping[str, pa.Table], tombstones: Sequence[Tombstone]) -> Mapping[str, pa.Table]:
        """The tables without the rows that any of the tombstones hides, consistent with each other.

        Given are all tables of one head, one WAL segment or one block, as they are there.
        """

    def touches(self, block: Block, tombstone: Tombstone) -> bool:
        """Whether a tombstone may hide rows of a block; quick, so told from its index."""
