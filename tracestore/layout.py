"""How spans lie in a block: sorted by (trace id, start), one slice a trace, its DAG beside the ids.

The engine calls `write_block` at flush and at compaction alike; everything is computed anew each time, since late
spans of a trace meet the others only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.columnar.block import Block
from obs.columnar.layout import BlockWriter, TableLayout
from obs.columnar.overflow import fold_columns
from obs.model.schema import MAX_ATTRIBUTE_COLUMNS, column_type, parse_attribute_column
from obs.model.schema import SPANS as SPANS_SCHEMA
from obs.tracestore import catalog, dag, limits
from obs.tracestore.filenames import CATALOG, LINKS, SPANS, STORE, TRACES
from obs.tracestore.links import links_table
from obs.tracestore.names import COVERED, DAG_SCHEMA, NESTED_LEFT, NESTED_RIGHT, OFF_PATH, SKEW
from obs.tracestore.parent_ids import PARENT_ID, as_sent, parent_rows, written
from obs.tracestore.spancolumns import SpanColumns, flat, span_columns, trace_starts, written_order
from obs.tracestore.summaries import summarize, traces_table

_SPLIT_BYTES = ("start_ns", "end_ns", COVERED, SKEW, OFF_PATH, NESTED_LEFT, NESTED_RIGHT)
_IDS = ("trace_id", "span_id", PARENT_ID)
_SPLIT_TRACE_BYTES = ("start_ns", "spread_ns", "duration_ns", "shorter_ns")

_NESTED = ("events", "links")


class SpanLayout:
    """The trace store's part in the engine."""

    name = STORE
    tables: tuple[TableLayout, ...] = (TableLayout(SPANS, "start_ns"),)
    piecewise = True  # rows are put together here, once

    def on_append(self, generation: int, tables: Mapping[str, pa.RecordBatch]) -> Mapping[str, pa.RecordBatch]:
        """Spans carry their resource, so a segment stands alone as it is."""
        return tables

    def on_replay(self, tables: Mapping[str, pa.RecordBatch]) -> None:
        """Nothing is kept in memory beside the head."""

    def read_block(self, block: Block, table: str) -> pa.Table:
        """Spans as they were sent; text that repeats as codes, which are quicker to sort."""
        return as_sent(block.read(table, use_threads=False, as_codes=True))

    def write_block(self, tables: Mapping[str, pa.Table], out: BlockWriter) -> Mapping[str, Any]:
        """Sort, drop what was sent again, compute the DAG, write spans, traces and catalog."""
        table = tables[SPANS]
        if not table.num_rows:
            return {"traces": 0, "orphans": 0}
        table = without_empty(without_dag(table))
        columns = span_columns(table)
        order = written_order(columns)
        columns = columns.take(order)
        starts = trace_starts(columns)
        links = dag.build(columns, starts)
        traces = summarize(columns, starts, links)
        table = without_told_parents(taken(table, order), columns, parent_rows(starts, links.parent))
        table = with_dag(fold_columns(in_own_types(table), MAX_ATTRIBUTE_COLUMNS), links)
        out.parquet(SPANS, table, row_group_rows=limits.ROW_GROUP_ROWS, **span_options(table))
        out.parquet(TRACES, traces_table(traces), row_group_rows=limits.TRACE_GROUP_ROWS, **trace_options())
        linked = links_table(table)
        if linked.num_rows:
            out.parquet(LINKS, linked, row_group_rows=limits.LINK_GROUP_ROWS, use_dictionary=False)
        out.file(CATALOG, catalog.encode(catalog.make_catalog(columns, starts, links)))
        return {"traces": len(traces), "orphans": int(traces.missing.sum())}


def without_dag(table: pa.Table) -> pa.Table:
    """Spans as they came, without what an earlier block computed."""
    return table.drop_columns([name for name in DAG_SCHEMA.names if name in table.column_names])


def without_empty(table: pa.Table) -> pa.Table:
    """Without the nested columns that have no value: they would cost as much time as four columns that do."""
    there = [name for name in _NESTED if name in table.column_names]
    return table.drop_columns([name for name in there if not len(pc.list_flatten(table.column(name)))])


def taken(table: pa.Table, order: npt.NDArray[np.int64]) -> pa.Table:
    """The rows at `order`, a column at a time: one that was just put together is in the cache when rows are picked."""
    at = pa.array(order.astype(np.uint32))
    return pa.table([_taken(column, at) for column in table.columns], schema=table.schema)


def _taken(column: pa.ChunkedArray, at: pa.Array) -> pa.Array:
    return pa.nulls(len(at), column.type) if column.null_count == len(column) else flat(column).take(at)


def without_told_parents(table: pa.Table, columns: SpanColumns, parents: npt.NDArray[np.int64]) -> pa.Table:
    """Sorted spans without the ids of parents that their rows tell; see `parent_ids`."""
    if PARENT_ID not in table.column_names:
        return table
    place = table.column_names.index(PARENT_ID)
    return table.set_column(place, table.schema.field(place), written(columns.span, columns.parent, parents))


def in_own_types(table: pa.Table) -> pa.Table:
    """Text that was read as codes, but is plain in the canonical schema, as such again."""
    fields = [f.with_type(pa.string()) if pa.types.is_dictionary(f.type) and _is_plain(f.name) else f
              for f in table.schema]  # fmt: skip
    return table.cast(pa.schema(fields, table.schema.metadata))


def _is_plain(column: str) -> bool:
    attribute = parse_attribute_column(column)
    type_ = SPANS_SCHEMA.field(column).type if attribute is None else column_type(attribute.scope, attribute.type)
    return not pa.types.is_dictionary(type_)


def with_dag(table: pa.Table, links: dag.Dag) -> pa.Table:
    """Sorted spans with the columns of their DAG."""
    for field, array in zip(DAG_SCHEMA, links.arrays(), strict=True):
        table = table.append_column(field, array)
    return table


def span_options(table: pa.Table) -> dict[str, Any]:
    """Parquet options: dictionaries where values repeat, bytes split for times, ids plain (span ids are random)."""
    plain = (*_SPLIT_BYTES, *_IDS)
    dictionary = [name for name in table.column_names if name not in plain and _repeats(table, name)]
    compression = dict.fromkeys(_leaves(table.schema), "ZSTD") | {"span_id": "NONE"}
    return {
        "use_dictionary": dictionary,
        "column_encoding": dict.fromkeys(_SPLIT_BYTES, "BYTE_STREAM_SPLIT"),
        "compression": compression,
        "compression_level": {leaf: limits.ZSTD_LEVEL for leaf, codec in compression.items() if codec == "ZSTD"},
        "write_statistics": [leaf for leaf in compression if "." not in leaf or _is_attribute(leaf)],
        "dictionary_pagesize_limit": 1 << 18,
    }


def trace_options() -> dict[str, Any]:
    """Parquet options of the traces table, which is only ever read whole."""
    texts = ["root_service", "root_name", "services.list.element"]
    encoding = dict.fromkeys(_SPLIT_TRACE_BYTES, "BYTE_STREAM_SPLIT")
    return {
        "use_dictionary": texts,
        "column_encoding": encoding | {"first_row": "DELTA_BINARY_PACKED"},
        "write_statistics": False,
    }


def _is_attribute(leaf: str) -> bool:
    return leaf.startswith(("resource.", "scope.", "attr."))


def _leaves(schema: pa.Schema) -> list[str]:
    """Parquet's column paths."""
    return [leaf for field in schema for leaf in _leaf_paths(field.name, field.type)]


def _leaf_paths(path: str, type_: pa.DataType) -> list[str]:
    if pa.types.is_map(type_):
        return [f"{path}.key_value.key", f"{path}.key_value.value"]
    if pa.types.is_list(type_):
        return _leaf_paths(f"{path}.list.element", type_.value_type)
    if pa.types.is_struct(type_):
        return [leaf for field in type_ for leaf in _leaf_paths(f"{path}.{field.name}", field.type)]
    return [path]


def _repeats(table: pa.Table, name: str) -> bool:
    """Whether a column's values repeat enough for a dictionary, by a look at the middle of the table."""
    column = table.column(name)
    if pa.types.is_nested(column.type) or pa.types.is_floating(column.type):
        return False
    if pa.types.is_dictionary(column.type):
        return len(column.chunk(0).dictionary) <= max(64, limits.PLAIN_SHARE * table.num_rows)
    sample = column.slice(max(0, (table.num_rows - limits.SAMPLE_ROWS) // 2), limits.SAMPLE_ROWS).drop_null()
    return len(sample.unique()) <= max(16, limits.PLAIN_SHARE * len(sample))
