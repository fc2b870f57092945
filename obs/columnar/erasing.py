"""Rows without those that tombstones hide, by way of the layout: of a block, of a head, of a WAL segment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.head import Head, concatenate, stack
from obs.columnar.layout import Deriving, Erasing, Layout
from obs.columnar.tombstones import Tombstone
from obs.errors import UserError

Tables = Mapping[str, pa.Table]


def erasing(layout: Layout) -> Erasing:
    """A layout as one that erases. Raises: UserError."""
    if not isinstance(layout, Erasing):
        raise UserError(f"cannot delete from {layout.name!r}: this store has no deletes; let retention drop old data")
    return layout


def block_tables(layout: Layout, block: Block) -> Tables:
    """All rows of a block that are not hidden; of a damaged block nothing in whole or in part."""
    if isinstance(layout, Deriving):
        tables = {t.name: layout.read_block(block, t.name) for t in layout.tables}
    else:
        tables = {t.name: block.read(t.name, use_threads=False) for t in layout.tables}
    if not block.tombstones or block.damaged:
        return tables
    return erasing(layout).erase(tables, block.tombstones)


def head_without(layout: Layout, head: Head, tombstone: Tombstone) -> Head:
    """A head without the rows that a tombstone hides."""
    tables = {t.name: head.table(t.name) for t in layout.tables}
    return head.rewritten(erasing(layout).erase(tables, [tombstone]), tombstone.sequence)


def batches_without(
    layout: Layout, parts: Sequence[tuple[str, pa.RecordBatch]], tombstones: Sequence[Tombstone]
) -> list[tuple[str, pa.RecordBatch]]:
    """The batches of one whole WAL segment without the rows that tombstones hide."""
    tables = {t.name: concatenate(stack([b for name, b in parts if name == t.name])) for t in layout.tables}
    left = erasing(layout).erase(tables, tombstones)
    return [(name, batch) for name, table in left.items() if table.num_rows for batch in table.to_batches()]


def touched(layout: Layout, block: Block, tombstones: Iterable[Tombstone]) -> list[Tombstone]:
    """Those of some tombstones that may hide rows of a block."""
    test = erasing(layout).touches
    return [t for t in tombstones if t.concerns(block.meta) and test(block, t)]
