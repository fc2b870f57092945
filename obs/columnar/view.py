"""A consistent snapshot: the blocks and the head rows of one instant. Close it, or blocks never leave the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.head import Head, concatenate


class View:
    """What `Engine.view` returns. Any thread may read it; appends after it was taken are not in it."""

    def __init__(
        self, blocks: Sequence[Block], heads: Sequence[tuple[Head, Mapping[str, int]]], release: Callable[[], None]
    ) -> None:
        self.blocks = tuple(blocks)  # oldest written first: later rows win
        self._heads = tuple(heads)
        self._release: Callable[[], None] | None = release

    def head(self, table: str) -> pa.Table:
        """Rows not yet in blocks, in the order they were written; all newer than every block's.

        Columns that a batch did not have are null there. No rows: a table of no columns.
        """
        return concatenate([head.table(table, marks[table]) for head, marks in self._heads if marks[table]])

    def head_column(self, table: str, column: str) -> pa.Table:
        """One column of `head`, which all of its rows have; nothing is copied."""
        parts = [head.column(table, column, marks[table]) for head, marks in self._heads if marks[table]]
        return pa.table({column: pa.chunked_array([c for part in parts for c in part.chunks])} if parts else {})

    def head_runs(self, table: str) -> list[pa.Table]:
        """What `head` gives, in pieces; rows that were appended since this view was taken may be among them.

        Pieces that are full are the same objects in every view, so that what is made of them can be kept.
        """
        return [run for head, marks in self._heads if marks[table] for run in head.runs(table)]

    def head_rows(self, table: str) -> int:
        """How many rows `head` has, without making it."""
        return sum(marks[table] for _, marks in self._heads)

    def close(self) -> None:
        """Let the blocks go; safe to call twice."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> View:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
