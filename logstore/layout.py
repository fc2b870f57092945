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
from obs.logstore.beside import Beside
from obs.logstore.blockindex import BlockIndexes
from obs.logstore.filenames import RECORDS, STORE, STREAMS
from obs.logstore.names import STREAM_ID
from obs.logstore.ordering import OrderedRows
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
    piecewise = True
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
        """Sort, fold what is past the limit of columns, write records, streams and what stands beside."""
        table = with_stream_ids(tables[RECORDS], self._streams)
        if not table.num_rows:
            return {"streams": 0}
        table = fold_columns(table, MAX_ATTRIBUTE_COLUMNS)
        order, streams = self._order(table)
        beside = Beside(table.column("body"))
        _write_records(OrderedRows(table, order), beside, out)
        out.parquet(STREAMS, streams)
        return {"streams": streams.num_rows, **beside.write(_positions(streams), out)}

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

    def _order(self, table: pa.Table) -> tuple[npt.NDArray[np.int64], pa.Table]:
        """Where the rows of a block stand in a table, and the block's streams."""
        encoded = table.column(STREAM_ID).combine_chunks().dictionary_encode()
        ids = encoded.dictionary.to_pylist()
        labels = [self._streams.labels(i) for i in ids]
        by_labels = sorted(range(len(ids)), key=labels.__getitem__)
        rank = np.empty(len(ids), np.int64)
        rank[by_labels] = np.arange(len(ids))
        rank = rank[encoded.indices.to_numpy()]
        times = table.column("time_ns").to_numpy()
        order = row_order(rank, times)
        return order, _streams_table(rank[order], times[order], [(ids[i], labels[i]) for i in by_labels])


def _write_records(rows: OrderedRows, beside: Beside, out: BlockWriter) -> None:
    """Write the records a row group at a time; `beside` sees them on their way."""
    middle = max(0, (len(rows) - _SAMPLE_ROWS) // 2)
    options = write_options(rows.slice(middle, min(middle + _SAMPLE_ROWS, len(rows))))
    groups = beside.seeing(rows.parts(limits.ROW_GROUP_ROWS))
    out.parquet_parts(RECORDS, groups, row_group_rows=limits.ROW_GROUP_ROWS, **options)


def _positions(streams: pa.Table) -> npt.NDArray[np.int32]:
    """The position of each row's stream."""
    return np.repeat(np.arange(streams.num_rows, dtype=np.int32), streams.column("rows").to_numpy())


def with_stream_ids(table: pa.Table, streams: StreamMapper) -> pa.Table:
    """The table with stream ids as the mapper gives them now: a changed list of stream attributes re-sorts old rows."""
    ids = [streams.ids(batch) for batch in table.to_batches() if batch.num_rows]
    column = pa.chunked_array(ids, pa.uint64())
    if STREAM_ID in table.column_names:
        table = table.drop_columns([STREAM_ID])
    return table.add_column(0, pa.field(STREAM_ID, pa.uint64(), nullable=False), column)


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
    """Parquet options by a look at some rows: dictionaries where values repeat, delta for times, ids as they are."""
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
