"""Rows that are not in blocks yet: chunks by table in the order they were written, readable at once.

Reads join small chunks into runs of growing size (each row is copied a few times at most), so that reading a head
of thousands of small appends again and again stays cheap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import pyarrow as pa

from obs.columnar.limits import HEAD_CHUNK_ROWS, HEAD_RUN_ROWS, HEAD_TAIL_CHUNKS, HEAD_TAIL_ROWS


def concatenate(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables below each other; a column that one does not have is null there. Nothing is copied.

    Raises: pa.ArrowException where a column has types that no wider one holds.
    """
    tables = [t for t in tables if t.num_rows] or list(tables[:1])
    if len(tables) < 2:
        return tables[0] if tables else pa.table({})
    try:
        return pa.concat_tables(tables, promote_options="default")
    except (pa.ArrowTypeError, pa.ArrowInvalid):  # written by versions that disagreed on a column's type
        return pa.concat_tables([_without_dictionaries(t) for t in tables], promote_options="permissive")


def _without_dictionaries(table: pa.Table) -> pa.Table:
    fields = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))


def stack(batches: Sequence[pa.RecordBatch]) -> list[pa.Table]:
    """Batches as tables, one for neighbours of one schema; nothing is copied."""
    return [pa.Table.from_batches(list(same)) for _, same in groupby(batches, key=lambda batch: batch.schema)]


class TableChunks:
    """One table of a head. One thread adds; any number read."""

    def __init__(self) -> None:
        self.rows = 0
        self._runs: list[pa.Table] = []
        self._tail: list[pa.RecordBatch] = []
        self._joining = threading.Lock()

    @classmethod
    def of(cls, table: pa.Table) -> TableChunks:
        """The chunks of a table."""
        chunks = cls()
        chunks.rows = table.num_rows
        chunks._runs = [table] if table.num_rows else []
        return chunks

    def add(self, batch: pa.RecordBatch) -> None:
        """One more chunk; seen by readers that ask for `rows` after this."""
        self._tail.append(batch)
        self.rows += batch.num_rows

    def table(self, rows: int, few: bool = True) -> pa.Table:
        """The first `rows` rows, as few chunks; as they came where `few` is not asked for, and nothing is copied."""
        with self._joining:
            if few and len(self._tail) > HEAD_TAIL_CHUNKS:
                self._join()
            whole = concatenate([*self._runs, *stack(list(self._tail))])
        return whole if whole.num_rows == rows else whole.slice(0, rows)

    def column(self, name: str, rows: int) -> pa.ChunkedArray:
        """One column, which every chunk has, of the first `rows` rows; nothing is copied."""
        with self._joining:
            parts = [*self._runs, *stack(list(self._tail))]
        return pa.chunked_array([chunk for part in parts for chunk in part.column(name).chunks]).slice(0, rows)

    def runs(self) -> list[pa.Table]:
        """All rows so far, as tables that stand for themselves.

        Runs that are full are the same objects each time, so that callers may keep what they make of them; the last
        table is what came since.
        """
        with self._joining:
            if len(self._tail) > HEAD_TAIL_CHUNKS or sum(b.num_rows for b in self._tail) > HEAD_TAIL_ROWS:
                self._join()
            runs, tail = list(self._runs), list(self._tail)
        return [*runs, concatenate(stack(tail))] if tail else runs

    def _join(self) -> None:
        for part in _parts(list(self._tail)):
            self._runs.append(_together(stack(part)))
            del self._tail[: len(part)]  # at once: where memory ends at a later part, no row is here twice
            while len(self._runs) > 1:
                left, right = self._runs[-2:]
                if left.num_rows > 2 * right.num_rows or left.num_rows + right.num_rows > HEAD_RUN_ROWS:
                    break
                self._runs[-2:] = [_together([left, right])]


def _together(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables below each other, each column in one piece, but for numbers that came in large chunks: they stay there."""
    whole = concatenate(tables)
    are_large = whole.num_rows >= HEAD_CHUNK_ROWS * max(column.num_chunks for column in whole.columns)
    return whole if are_large and all(map(pa.types.is_primitive, whole.schema.types)) else whole.combine_chunks()


def _parts(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Batches in groups of HEAD_RUN_ROWS rows at most, where they are not larger themselves."""
    part: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if part and rows + batch.num_rows > HEAD_RUN_ROWS:
            yield part
            part, rows = [], 0
        part.append(batch)
        rows += batch.num_rows
    if part:
        yield part


class Head:
    """The rows of one generation (or of several, where recovery read them back), by table."""

    def __init__(self, generation: int, tables: Iterable[str], erased: int = 0) -> None:
        self.low = self.high = generation
        self.segments: list[int] = [generation]  # WAL segments that hold these rows
        self.erased = erased  # no row is hidden by tombstones up to this sequence
        self.nbytes = 0
        self.first_append_s: float | None = None  # monotonic; None while empty
        self._tables = {name: TableChunks() for name in tables}

    def add(self, parts: Iterable[tuple[str, pa.RecordBatch]]) -> int:
        """Take batches; returns the bytes they hold. One thread at a time."""
        added = 0
        for name, batch in parts:
            self._tables[name].add(batch)
            added += batch.nbytes
        self.nbytes += added
        if self.first_append_s is None:
            self.first_append_s = time.monotonic()
        return added

    def cover(self, segment: int) -> None:
        """Rows of one more, later segment are added from now on."""
        self.high = segment
        self.segments.append(segment)

    def rewritten(self, tables: Mapping[str, pa.Table], erased: int) -> Head:
        """A head of the same segments that holds these rows, of which tombstones up to `erased` hide none."""
        head = Head(self.low, (), erased)
        head.high, head.segments, head.first_append_s = self.high, self.segments, self.first_append_s
        head._tables = {name: TableChunks.of(table) for name, table in tables.items()}
        head.nbytes = sum(table.nbytes for table in tables.values())
        return head

    def marks(self) -> Mapping[str, int]:
        """Rows by table as of now: what a view taken now may see."""
        return {name: chunks.rows for name, chunks in self._tables.items()}

    def rows(self, table: str) -> int:
        """Rows of a table."""
        return self._tables[table].rows

    @property
    def empty(self) -> bool:
        """Whether nothing was added."""
        return self.first_append_s is None

    def table(self, name: str, rows: int | None = None, few: bool = True) -> pa.Table:
        """The first `rows` rows of a table (all, where not said); a table of no columns where there are none.

        `few`: in few chunks, for which rows are copied.
        """
        chunks = self._tables[name]
        rows = chunks.rows if rows is None else rows
        return chunks.table(rows, few) if rows else pa.table({})

    def column(self, name: str, column: str, rows: int) -> pa.ChunkedArray:
        """One column, which every row has, of the first `rows` rows of a table that has some."""
        return self._tables[name].column(column, rows)

    def runs(self, name: str) -> list[pa.Table]:
        """All rows of a table as they are kept: see `TableChunks.runs`."""
        chunks = self._tables[name]
        return chunks.runs() if chunks.rows else []
