"""Deletes by query: a tombstone holds a log query and a time, and hides the records that the query would list.

Which rows these are is worked out where they are read: of a head, a WAL segment or a merge once for all (`erase`), of a
block at each query until it is written anew (`hiding`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa

from obs.columnar.tombstones import Tombstone
from obs.errors import QueryError
from obs.logstore import limits
from obs.logstore.blockindex import BlockIndex
from obs.logstore.chunks import Rows
from obs.logstore.logql.parse import parse
from obs.logstore.logql.plan import LogPlan, plan_records, run_stages
from obs.logstore.logql.syntax import LogQuery
from obs.logstore.matching import matches_stream
from obs.logstore.names import attribute_columns
from obs.logstore.selection import Mask, Selection, StreamFilter, in_time, may_hold, table_chunk
from obs.model.labels import Labels

Hide = Callable[[Rows], Rows]


@dataclass(frozen=True, slots=True)
class Deletion:
    """Records of a query with start_ns <= time <= end_ns."""

    plan: LogPlan
    start_ns: int
    end_ns: int

    @property
    def selection(self) -> Selection:
        """What it may concern."""
        return Selection(self.plan.matchers, self.start_ns, self.end_ns + 1, self.plan.requirements)

    def hit(self, rows: Rows) -> Mask:
        """Which rows of a chunk it deletes."""
        wanted = np.array([matches_stream(labels, self.plan.matchers) for _, labels in rows.chunk.streams.streams])
        found = Rows(rows.chunk, rows.index[wanted[rows.stream_codes()]]) if len(rows) else rows
        found = run_stages(self.plan, in_time(found, self.selection)) if len(found) else found
        return np.isin(rows.index, found.index, assume_unique=True)


def plan_delete(query: str, stream_labels: frozenset[str]) -> LogPlan:
    """How to find what a delete asks for. Raises: QueryError."""
    syntax = parse(query)
    if not isinstance(syntax, LogQuery):
        raise QueryError(f"cannot delete {query!r}: it computes numbers; give a selector, with filters where needed")
    return plan_records(syntax, stream_labels, needed=frozenset())


def encode(query: str, start_ns: int, end_ns: int) -> bytes:
    """A tombstone's payload; times as text, since they may be past what JSON's numbers hold."""
    return orjson.dumps({"query": query, "start_ns": str(start_ns), "end_ns": str(end_ns)})


def decode(payload: bytes, stream_labels: frozenset[str]) -> Deletion:
    """The way back."""
    found = orjson.loads(payload)
    return Deletion(plan_delete(found["query"], stream_labels), int(found["start_ns"]), int(found["end_ns"]))


def hiding(tombstones: Sequence[Tombstone], stream_labels: frozenset[str]) -> Hide | None:
    """What takes deleted rows away; None where nothing is deleted."""
    deletions = [decode(t.payload, stream_labels) for t in tombstones]
    if not deletions:
        return None

    def without(rows: Rows) -> Rows:
        for deletion in deletions:
            if len(rows):
                rows = rows.keep(~deletion.hit(rows))
        return rows

    return without


def erase(
    table: pa.Table,
    tombstones: Iterable[Tombstone],
    stream_labels: frozenset[str],
    labels_of: Callable[[int], Labels],
) -> pa.Table:
    """Records with stream ids, without the deleted ones."""
    hide = hiding(list(tombstones), stream_labels)
    if hide is None or not table.num_rows:
        return table
    attributes = attribute_columns(table.column_names)
    kept = []
    for at in range(0, table.num_rows, limits.HEAD_SLICE_ROWS):
        part = table.slice(at, limits.HEAD_SLICE_ROWS)
        rows = hide(Rows(table_chunk(part, attributes, labels_of), np.arange(part.num_rows)))
        kept.append(part if len(rows) == part.num_rows else part.take(pa.array(rows.index)))
    return pa.concat_tables(kept)


def touches(index: BlockIndex, tombstone: Tombstone, stream_labels: frozenset[str]) -> bool:
    """Whether a block may have rows that a tombstone hides, by its streams, times and tokens."""
    selection = decode(tombstone.payload, stream_labels).selection
    return may_hold(index, selection, StreamFilter(selection.matchers))
