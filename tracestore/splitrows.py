"""The rows of split traces, out of all places: few columns, deduplicated and linked as if they stood in one.

In: the sources and the keys of their split traces. Out: tables of those rows, kept for blocks while nothing changes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from obs.columnar.head import concatenate
from obs.tracestore import limits
from obs.tracestore.evaluate import SpanRows
from obs.tracestore.expressions import Attribute, Expr, Field, OfEach, OfParent, fields_of
from obs.tracestore.ids import Words
from obs.tracestore.matching import groups_of
from obs.tracestore.sources import Attributes, MemorySource, Source, attributes_of
from obs.tracestore.spancolumns import NEEDED
from obs.tracestore.splits import Mask

_OF_INTRINSIC = {"statusMessage": "status_message", "scopeName": "scope_name", "scopeVersion": "scope_version"}
_OF_LIST = {"event": "events", "link": "links"}
Key = tuple[str, bytes, tuple[str, ...]]


def columns_for(fields: Iterable[Field], source: Source) -> tuple[str, ...]:
    """The columns of a source that its DAG and some fields need."""
    attributes = attributes_of(source.columns)
    wanted = dict.fromkeys(NEEDED)
    for field in fields:
        wanted.update(dict.fromkeys(_columns_of(field, attributes)))
    return tuple(column for column in wanted if column in source.columns)


def _columns_of(field: Field, attributes: Attributes) -> Iterator[str]:
    if isinstance(field, OfParent):
        yield from _columns_of(field.field, attributes)
    elif isinstance(field, OfEach):
        yield _OF_LIST[field.list]
    elif isinstance(field, Attribute):
        yield from (column for column, _, _ in attributes.get(field.key, ()))
        yield "attr_overflow"
    elif field.name in _OF_INTRINSIC:
        yield _OF_INTRINSIC[field.name]


class SplitRows:
    """Rows of split traces by block; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, pa.Table] = OrderedDict()

    def rows(self, source: Source, split: Mask, expr: Expr | None) -> pa.Table:
        """The rows of the traces where `split` holds, in the source's order."""
        columns = columns_for(fields_of(expr), source)
        key = source.name, np.packbits(split).tobytes(), columns
        if isinstance(source, MemorySource):
            return rows_of(source, split, columns)
        with self._lock:
            kept = self._kept.get(key)
        if kept is None:
            kept = rows_of(source, split, columns)
            self._keep(key, kept)
        return kept

    def _keep(self, key: Key, rows: pa.Table) -> None:
        with self._lock:
            self._kept[key] = rows
            held = sum(table.num_rows for table in self._kept.values())
            while held > limits.SPLIT_ROWS_KEPT and self._kept:
                _, oldest = self._kept.popitem(last=False)
                held -= oldest.num_rows


def rows_of(source: Source, split: Mask, columns: Sequence[str]) -> pa.Table:
    """Some columns of the rows of the traces where `split` holds, in the source's order."""
    rows = SpanRows(source, groups_of(source, split))
    wanted = pa.array(np.flatnonzero(split[rows.trace]))
    arrays = {name: column.take(wanted) for name in columns if (column := rows.column(name)) is not None}
    return pa.table(arrays)


def put_together(sources: Sequence[Source], high: Words, low: Words, fields: Sequence[Field]) -> MemorySource:
    """These traces out of all places, with the columns that summaries and these fields are read from."""
    tables = []
    for source in sources:
        at = source.traces.find_many(high, low)
        wanted = np.zeros(len(source.traces), bool)
        wanted[at[at >= 0]] = True
        if wanted.any():
            tables.append(rows_of(source, wanted, columns_for(fields, source)))
    return MemorySource("split", concatenate(tables))
