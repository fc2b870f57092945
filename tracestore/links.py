"""Links between traces, both ways: which spans link to a trace is told by an index that is written with each block.

In: spans, trace ids. Out: links. The index (`links.parquet`) is sorted by what is linked to: a look-up reads one row
group of a block. The head's links are found in its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from obs.model.schema import SPAN_ID, TRACE_ID
from obs.tracestore import limits
from obs.tracestore.spancolumns import flat

LINKS_SCHEMA = pa.schema(
    [
        pa.field("linked_trace_id", TRACE_ID, nullable=False),
        pa.field("linked_span_id", SPAN_ID),  # null: the link names the trace alone
        pa.field("trace_id", TRACE_ID, nullable=False),
        pa.field("span_id", SPAN_ID, nullable=False),
    ]
)
_ORDER = [(name, "ascending") for name in ("linked_trace_id", "linked_span_id", "trace_id", "span_id")]


@dataclass(frozen=True, slots=True)
class Link:
    """Span `span_id` of `trace_id` links to span `linked_span_id` (b"": to none by name) of `linked_trace_id`."""

    trace_id: bytes
    span_id: bytes
    linked_trace_id: bytes
    linked_span_id: bytes


def link_rows(spans: pa.Table) -> pa.Table:
    """The links of spans as LINKS_SCHEMA, in the order of the spans; those to no trace are left out."""
    if "links" not in spans.column_names:
        return LINKS_SCHEMA.empty_table()
    links = flat(spans.column("links"))
    if links.type.value_type == pa.null() or not len(links):
        return LINKS_SCHEMA.empty_table()
    row, link = pc.list_parent_indices(links), links.flatten()
    known = link.field("trace_id").is_valid()
    row, link = row.filter(known), link.filter(known)
    own = [flat(spans.column(name)).take(row) for name in ("trace_id", "span_id")]
    return pa.Table.from_arrays([link.field("trace_id"), link.field("span_id"), *own], schema=LINKS_SCHEMA)


def links_table(spans: pa.Table) -> pa.Table:
    """What `links.parquet` holds of the spans of a block."""
    rows = link_rows(spans)
    return rows.take(pc.sort_indices(rows, _ORDER)) if rows.num_rows else rows


def read_links(table: pa.Table) -> Iterator[Link]:
    """Rows of LINKS_SCHEMA as values."""
    columns = [table.column(n).to_pylist() for n in ("trace_id", "span_id", "linked_trace_id", "linked_span_id")]
    for trace_id, span_id, linked_trace, linked_span in zip(*columns, strict=True):
        yield Link(trace_id, span_id, linked_trace, linked_span or b"")


class BlockLinks:
    """The links of one block by what they link to; its footer stays read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._metadata = pq.read_metadata(path)
        bounds = [self._metadata.row_group(g).column(0).statistics for g in range(self._metadata.num_row_groups)]
        self._bounds = [(s.min, s.max) for s in bounds]

    def to(self, trace_ids: Sequence[bytes]) -> pa.Table:
        """The links to any of these traces."""
        groups = [
            g for g, (least, greatest) in enumerate(self._bounds) if any(least <= t <= greatest for t in trace_ids)
        ]
        if not groups:
            return LINKS_SCHEMA.empty_table()
        with pq.ParquetFile(self._path, metadata=self._metadata, memory_map=True) as file:
            return linking_to(file.read_row_groups(groups, use_threads=False), trace_ids)


def linking_to(rows: pa.Table, trace_ids: Sequence[bytes]) -> pa.Table:
    """The rows that link to any of these traces."""
    return rows.filter(pc.is_in(rows.column("linked_trace_id"), pa.array(trace_ids, TRACE_ID)))


def distinct(tables: Iterable[pa.Table]) -> list[Link]:
    """Links of several places, each once, in order; at most as many as one answer shows, and one more."""
    found: dict[Link, None] = {}
    for table in tables:
        for link in read_links(table):
            found[link] = None
            if len(found) > limits.MAX_LINKS:
                return list(found)
    return sorted(found, key=lambda k: (k.linked_trace_id, k.linked_span_id, k.trace_id, k.span_id))
