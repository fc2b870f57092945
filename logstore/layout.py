"""How log records lie in a block: sorted by (stream, time), attributes as typed columns, streams and filters beside.

The engine calls `write_block` at flush and at compaction alike. Nothing is deduplicated: two records equal in
everything are two records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.layout import BlockWriter, TableLayout
from obs.columnar.overflow import fold_columns
from obs.columnar.tombstones import Tombstone
from obs.logstore import deletes, limits
from obs.logstore.blockindex import BlockIndexes
from obs.logstore.cells import build_cells
from obs.logstore.filenames import CELL_NS, CELLS, PATTERNS, RECORDS, STORE, STREAMS, TOKENS
from obs.logstore.indexing import build_index, ready
from obs.logstore.names import STREAM_ID
from obs.logstore.patterns.counts import count
from obs.logstore.streams import StreamMapper
from obs.model.labels import Labels
from obs.model.schema import LABELS, MAX_ATTRIBUTE_COLUMNS

STREAMS_SCHEMA = pa.schema(
    [
        pa.field(STREAM_ID, pa.uint64(), nullable=False),
        pa.field("labels", LABELS, nullable=False),
        pa.field("first_row", pa.int64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("min_ns", pa.int64(), nullable=False),
        pa.field("max_ns", pa.int64(), nullable=False),
    ]
)

_DELTA = ("time_ns", "observed_ns")
_IDS = ("trace_id", "span_id")
_SAMPLE_ROWS = 2_000


class LogLayout:
    """The log store's part in the engine."""

    name = STORE
    tables: tuple[TableLayout, ...] = (TableLayout(RECORDS, "time_ns"),)

    def __init__(self, streams: StreamMapper, indexes: BlockIndexes) -> None:
        self._streams, self._indexes = streams, indexes

    def on_append(self, generation: int, tables: Mapping[str, pa.RecordBatch]) -> Mapping[str, pa.RecordBatch]:
        """Records carry their resource, so a segment stands alone as it is."""
        return tables

    def on_replay(self, tables: Mapping[str, pa.RecordBatch]) -> None:
        """Learn the labels of the streams that recovery brings back."""
        if RECORDS in tables:
            records = tables[RECORDS]
            self._streams.renamed |= not self._streams.ids(records).equals(records.column(STREAM_ID))

    def write_block(self, tables: Mapping[str, pa.Table], out: BlockWriter) -> Mapping[str, Any]:
        """Sort, fold what is past the limit of columns, write records, streams and filters."""
        table = with_stream_ids(tables[RECORDS], self._streams)
        if not table.num_rows:
            return {"streams": 0}
        table = fold_columns(table, MAX_ATTRIBUTE_COLUMNS)
        table, streams = self._sorted(table)
        options = write_options(table)
        out.parquet(RECORDS, table, row_group_rows=limits.ROW_GROUP_ROWS, **options)
        out.parquet(STREAMS, streams)
        extra = self._cells(table, streams, out)
        patterns = self._patterns(table, streams)
        if patterns is not None:
            out.parquet(PATTERNS, patterns)
        index = build_index(table, limits.ROW_GROUP_ROWS)
        if index is not None:
            out.file(TOKENS, index)
        return {"streams": streams.num_rows, "indexed": index is not None, **extra}

    def _cells(self, table: pa.Table, streams: pa.Table, out: BlockWriter) -> Mapping[str, Any]:
        """Write counts of records; what is to be known of them."""
        found = build_cells(table, _positions(table, streams))
        if found is None:
            return {}
        cells, width_ns = found
        out.parquet(CELLS, cells)
        return {CELL_NS: width_ns}

    def _patterns(self, table: pa.Table, streams: pa.Table) -> pa.Table | None:
        """Templates of the lines with their counts, or None while the kernels are not ready."""
        if not ready():
            return None
        body = table.column("body").combine_chunks()
        body = pa.concat_arrays(body.chunks) if isinstance(body, pa.ChunkedArray) else body
        return count(body, _positions(table, streams), table.column("time_ns").to_numpy()).to_table()

    def erase(self, tables: Mapping[str, pa.Table], tombstones: Sequence[Tombstone]) -> Mapping[str, pa.Table]:
        """See `obs.logstore.deletes`."""
        records = tables[RECORDS]
        if not records.num_rows:
            return tables
        named = with_stream_ids(records, self._streams)
        left = deletes.erase(named, tombstones, self._streams.label_names, self._streams.labels)
        return {**tables, RECORDS: left}

    def touches(self, block: Block, tombstone: Tombstone) -> bool:
        """Whether the block may have any of the records."""
        index = self._indexes.get(block)
        return index is not None and deletes.touches(index, tombstone, self._streams.label_names)

    def _sorted(self, table: pa.Table) -> tuple[pa.Table, pa.Table]:
        ids, codes = np.unique(table.column(STREAM_ID).to_numpy(), return_inverse=True)
        labels = [self._streams.labels(int(i)) for i in ids]
        by_labels = sorted(range(len(ids)), key=labels.__getitem__)
        rank = np.empty(len(ids), np.int64)
        rank[by_labels] = np.arange(len(ids))
        rank = rank[codes]
        times = table.column("time_ns").to_numpy()
        order = row_order(rank, times)
        table = taken(table, order)
        streams = _streams_table(rank[order], times[order], [(int(ids[i]), labels[i]) for i in by_labels])
        return table, streams


def _positions(table: pa.Table, streams: pa.Table) -> npt.NDArray[np.int32]:
    """The position of each row's stream."""
    counts = np.diff([*streams.column("first_row").to_pylist(), table.num_rows])
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def with_stream_ids(table: pa.Table, streams: StreamMapper) -> pa.Table:
    """The table with stream ids as the mapper gives them now: a changed list of stream attributes re-sorts old rows."""
    ids = [streams.ids(batch) for batch in table.to_batches() if batch.num_rows]
    column = pa.chunked_array(ids, pa.uint64())
    if STREAM_ID in table.column_names:
        table = table.drop_columns([STREAM_ID])
    return table.add_column(0, pa.field(STREAM_ID, pa.uint64(), nullable=False), column)


def taken(table: pa.Table, order: npt.NDArray[np.int64]) -> pa.Table:
    """The rows at `order`, one column after the other, so that no more than one is there a third time."""
    at = pa.array(order)
    return pa.table([_taken(table.column(i), at) for i in range(table.num_columns)], schema=table.schema)


def _taken(column: pa.ChunkedArray, at: pa.Array) -> pa.Array | pa.ChunkedArray:
    if not pa.types.is_dictionary(column.type):
        return column.combine_chunks().take(at)
    array = column.unify_dictionaries().combine_chunks().take(at)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array if len(array.dictionary) <= limits.SHARED_DICTIONARY_VALUES else _narrow(array)


def _narrow(array: pa.DictionaryArray) -> pa.ChunkedArray:
    """A chunk a row group, each with the values it has: Parquet writes a chunk's dictionary whole."""
    groups = (array.slice(i, limits.ROW_GROUP_ROWS) for i in range(0, len(array), limits.ROW_GROUP_ROWS))
    return pa.chunked_array([g.cast(pa.string()).dictionary_encode().cast(array.type) for g in groups], array.type)


def row_order(rank: npt.NDArray[np.int64], times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions sorted by (rank, time), equal ones in the order they came."""
    low = int(times.min())
    width = (int(times.max()) - low).bit_length()
    if width + int(rank.max()).bit_length() <= 63:
        return np.argsort((rank << width) | (times - low), kind="stable")
    return np.lexsort((times, rank))


def _streams_table(
    rank: npt.NDArray[np.int64], times: npt.NDArray[np.int64], streams: list[tuple[int, Labels]]
) -> pa.Table:
    first = np.searchsorted(rank, np.arange(len(streams)))
    end = np.append(first[1:], len(rank))
    columns = {
        STREAM_ID: [i for i, _ in streams],
        "labels": [list(labels) for _, labels in streams],
        "first_row": first,
        "rows": end - first,
        "min_ns": times[first],
        "max_ns": times[end - 1],
    }
    return pa.table(columns, schema=STREAMS_SCHEMA)


def write_options(table: pa.Table) -> dict[str, Any]:
    """Parquet options: dictionaries where values repeat, delta for times, ids as they are (random bytes)."""
    dictionary = [name for name in table.column_names if name not in (*_DELTA, *_IDS, "body") and _repeats(table, name)]
    encoding = dict.fromkeys(_DELTA, "DELTA_BINARY_PACKED") | {"body": "PLAIN"}
    compression = {name: "NONE" if name in _IDS else "ZSTD" for name in _leaves(table.schema)}
    return {
        "use_dictionary": dictionary,
        "column_encoding": {name: e for name, e in encoding.items() if name in table.column_names},
        "compression": compression,
        "compression_level": {n: 1 if n == "body" else 3 for n, codec in compression.items() if codec == "ZSTD"},
        "write_statistics": ["time_ns"],
        "data_page_size": limits.PAGE_BYTES,
    }


def _leaves(schema: pa.Schema) -> list[str]:
    """Parquet's column paths: a map has a key and a value."""
    found = []
    for field in schema:
        if pa.types.is_map(field.type):
            found += [f"{field.name}.key_value.key", f"{field.name}.key_value.value"]
        else:
            found.append(field.name)
    return found


def _repeats(table: pa.Table, name: str) -> bool:
    """Whether a column's values repeat enough for a dictionary, by a look at the middle of the table."""
    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        return True
    if pa.types.is_map(column.type) or pa.types.is_floating(column.type):
        return False
    sample = column.slice(max(0, (table.num_rows - _SAMPLE_ROWS) // 2), _SAMPLE_ROWS).drop_null()
    return len(sample.unique()) * 3 <= len(sample) + 3
