"""Where spans stand sorted by trace: a block on disk, or spans in memory (the head, one trace put together).

Both look the same to whoever evaluates: columns by name over groups of rows, traces over slices of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from obs.columnar.block import Block
from obs.columnar.foundrows import FoundRows
from obs.model.schema import parse_attribute_column
from obs.tracestore import dag
from obs.tracestore.catalog import Catalog, decode, make_catalog
from obs.tracestore.filenames import CATALOG, LINKS, SPANS, TRACES
from obs.tracestore.ids import span_words
from obs.tracestore.layout import with_dag, without_dag
from obs.tracestore.limits import ROW_GROUP_ROWS
from obs.tracestore.links import BlockLinks
from obs.tracestore.names import DAG_SCHEMA, PARENT_POSITION
from obs.tracestore.parent_ids import PARENT_ID, as_sent, filled, id_column
from obs.tracestore.spancolumns import flat, span_columns, trace_starts, written_order
from obs.tracestore.summaries import TraceRows, empty, read_traces, summarize
from obs.tracestore.textpages import TextPages

Rows = npt.NDArray[np.int64]
Attributes = Mapping[str, Sequence[tuple[str, str, str]]]


@dataclass(frozen=True, slots=True)
class GroupRange:
    """Per group of rows the least and greatest value of a column; `known` where there are such."""

    known: npt.NDArray[np.bool_]
    empty: npt.NDArray[np.bool_]  # no value at all
    least: Sequence[object]
    greatest: Sequence[object]


class Source(Protocol):
    """Sorted spans. Rows come in groups that are read as a whole."""

    name: str
    columns: frozenset[str]
    traces: TraceRows
    group_starts: Rows  # int64[groups + 1]

    def load(self, column: str, groups: Rows) -> pa.Array:
        """A column over these groups, ascending."""

    def ranges(self, column: str) -> GroupRange | None:
        """What statistics say about a column."""

    def table(self, first: int, end: int) -> pa.Table:
        """All columns of a slice of rows, whole traces."""

    def catalog(self) -> Catalog:
        """Services, operations and calls."""


def attributes_of(columns: frozenset[str]) -> Attributes:
    """Attribute columns by key: (column, scope, type)."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for column in sorted(columns):
        parsed = parse_attribute_column(column)
        if parsed is not None:
            found.setdefault(parsed.key, []).append((column, parsed.scope, parsed.type))
    return found


def as_stored(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Columns that were read with a dictionary, to read them faster, in their own types again."""
    if table.schema.equals(schema):
        return table
    columns = [
        c if c.type == schema.field(i).type else c.cast(schema.field(i).type) for i, c in enumerate(table.columns)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


class MemorySource:
    """Spans in memory. Sorts and links them when made; columns follow when asked for."""

    def __init__(self, name: str, table: pa.Table) -> None:
        self.name = name
        self._table = without_dag(table)
        columns = span_columns(self._table)
        self.order = written_order(columns)
        self.spans = columns.take(self.order)
        starts = trace_starts(self.spans)
        self.dag = dag.build(self.spans, starts)
        self.traces = summarize(self.spans, starts, self.dag)
        self.columns = frozenset([*self._table.column_names, *DAG_SCHEMA.names])
        self.group_starts = np.append(np.arange(0, max(len(self.order), 1), ROW_GROUP_ROWS), len(self.order))
        self._loaded: dict[str, pa.Array] = dict(zip(DAG_SCHEMA.names, self.dag.arrays(), strict=True))

    def load(self, column: str, groups: Rows) -> pa.Array:
        """See `Source`."""
        if column not in self._loaded:
            self._loaded[column] = flat(self._table.column(column)).take(pa.array(self.order))
        whole = self._loaded[column]
        return whole if len(groups) == len(self.group_starts) - 1 else self._cut(whole, groups)

    def _cut(self, column: pa.Array, groups: Rows) -> pa.Array:
        """The rows of some groups; those of neighbours are cut as one."""
        runs = np.split(groups, np.flatnonzero(np.diff(groups) != 1) + 1) if len(groups) else []
        bounds = [(int(self.group_starts[run[0]]), int(self.group_starts[run[-1] + 1])) for run in runs]
        parts = [column.slice(first, end - first) for first, end in bounds]
        return parts[0] if len(parts) == 1 else pa.concat_arrays(parts or [column.slice(0, 0)])

    def ranges(self, column: str) -> GroupRange | None:
        """There are none."""
        return None

    def table(self, first: int, end: int) -> pa.Table:
        """See `Source`; with the DAG's columns."""
        rows = slice(first, end)
        return with_dag(self._table.take(pa.array(self.order[rows])), self.dag.cut(rows))

    def counted(self, superseded: Rows) -> pa.Table:
        """The rows as they came, each span once, without those at these places."""
        if not len(superseded) and len(self.order) == self._table.num_rows:
            return self._table
        return self._table.take(pa.array(np.sort(np.delete(self.order, superseded))))

    def catalog(self) -> Catalog:
        """See `Source`."""
        return self._catalog

    @cached_property
    def _catalog(self) -> Catalog:
        return make_catalog(self.spans, self.traces.starts, self.dag)


def _traces_of(block: Block) -> TraceRows:
    """A block's traces table. Group by group: a list of dictionary text cannot be read over several at once."""
    path = block.path(TRACES)
    if path is None:
        return empty()
    with pq.ParquetFile(path) as file:
        return read_traces(pa.concat_tables(file.read_row_group(g) for g in range(file.num_row_groups)))


class BlockSource:
    """A block's files. The traces table stays decoded; spans are read by row group and column."""

    def __init__(
        self,
        path: Path,
        name: str,
        metadata: pq.FileMetaData,
        traces: TraceRows,
        names: bytes,
        links: BlockLinks | None,
        found: FoundRows,
    ) -> None:
        self.name = name
        self.links = links
        self.path = path
        self.traces = traces
        self._metadata = metadata
        self._names = names
        self.schema = metadata.schema.to_arrow_schema()
        self.columns = frozenset(self.schema.names)
        sizes = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
        self.group_starts = np.cumsum([0, *sizes]).astype(np.int64)
        self._leaf = {metadata.schema.column(i).path: i for i in range(len(metadata.schema.names))}
        self._texts = [f.name for f in self.schema if pa.types.is_string(f.type)]
        self._ranges: dict[str, GroupRange] = {}
        self._pages = TextPages(path, metadata)
        self.found = found

    @classmethod
    def open(cls, block: Block, found: FoundRows) -> BlockSource | None:
        """The source of a block; None where it has no spans, or is damaged. `found`: see `remembered`."""
        path = block.path(SPANS)
        if path is None:
            return None
        names = block.read_file(CATALOG)
        if block.damaged:
            return None
        try:
            linked = block.path(LINKS)
            links = None if linked is None else BlockLinks(linked)
            return cls(path, block.name, pq.read_metadata(path), _traces_of(block), names, links, found)
        except (OSError, pa.ArrowException):
            if block.sound():
                raise
            return None

    @property
    def nbytes(self) -> int:
        """Memory held while this stays open."""
        return self.traces.nbytes + 3 * int(self._metadata.serialized_size) + len(self._names)

    def load(self, column: str, groups: Rows) -> pa.Array:
        """See `Source`; text that is stored with a dictionary comes with one."""
        if column == PARENT_ID and PARENT_POSITION in self.columns:
            return self._parent_ids(groups)
        return self._stored(column, groups)

    def equal_texts(self, column: str, groups: Rows, text: str) -> npt.NDArray[np.bool_] | None:
        """Which rows of these groups have this text; None where only the column tells, once it is loaded."""
        return self._pages.equal(self._leaf[column], groups.tolist(), text) if column in self._leaf else None

    def _stored(self, column: str, groups: Rows) -> pa.Array:
        return flat(self._file([column]).read_row_groups(groups.tolist(), columns=[column], use_threads=False)[column])

    def _parent_ids(self, groups: Rows) -> pa.Array:
        """Ids of parents, which may stand in the groups before and after."""
        starts, ends = self.group_starts[groups], self.group_starts[groups + 1]
        rows = np.concatenate([np.arange(s, e) for s, e in zip(starts, ends, strict=True)] or [groups[:0]])
        position = self._stored(PARENT_POSITION, groups).to_numpy()
        parents = np.where(position >= 0, self.traces.starts[self.traces.trace_of(rows)] + position, -1)
        wanted = np.zeros(len(self.group_starts) - 1, bool)
        wanted[groups] = True
        wanted[np.searchsorted(self.group_starts, parents[parents >= 0], side="right") - 1] = True
        whole = np.zeros(int(self.group_starts[-1]), np.uint64)
        whole[np.repeat(wanted, np.diff(self.group_starts))] = span_words(
            self._stored("span_id", np.flatnonzero(wanted))
        )
        return id_column(filled(whole[rows], span_words(self._stored(PARENT_ID, groups)), parents, whole))

    def ranges(self, column: str) -> GroupRange | None:
        """See `Source`."""
        leaf = self._leaf.get(column)
        if leaf is None:
            return None
        if column not in self._ranges:
            self._ranges[column] = self._read_ranges(leaf)
        return self._ranges[column]

    def table(self, first: int, end: int) -> pa.Table:
        """See `Source`."""
        group = int(np.searchsorted(self.group_starts, first, side="right")) - 1
        last = int(np.searchsorted(self.group_starts, end, side="left"))
        table = self._file(self._texts).read_row_groups(list(range(group, last)), use_threads=False)
        return as_sent(as_stored(table.slice(first - int(self.group_starts[group]), end - first), self.schema))

    def catalog(self) -> Catalog:
        """See `Source`."""
        return decode(self._names)

    def _file(self, as_dictionary: Sequence[str]) -> pq.ParquetFile:
        """A reader of its own: readers are not shared between threads, the footer is."""
        wanted = [c for c in as_dictionary if self._has_dictionary(c)]
        return pq.ParquetFile(self.path, metadata=self._metadata, memory_map=True, read_dictionary=wanted)

    def _has_dictionary(self, column: str) -> bool:
        leaf = self._leaf.get(column)
        if leaf is None or not self._metadata.num_row_groups or not pa.types.is_string(self.schema.field(column).type):
            return False
        return bool(self._metadata.row_group(0).column(leaf).has_dictionary_page)

    def _read_ranges(self, leaf: int) -> GroupRange:
        least: list[object] = []
        greatest: list[object] = []
        empty = []
        for group in range(self._metadata.num_row_groups):
            chunk = self._metadata.row_group(group).column(leaf)
            found = chunk.statistics
            known = found is not None and found.has_min_max
            least.append(found.min if known else None)
            greatest.append(found.max if known else None)
            empty.append(found is not None and found.has_null_count and found.null_count == chunk.num_values)
        return GroupRange(np.array([v is not None for v in least], bool), np.array(empty, bool), least, greatest)
