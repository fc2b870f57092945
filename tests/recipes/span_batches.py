"""Spans as tests write them: rows with defaults, as batches in the canonical schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from obs.model.batch import Batch, Signal
from obs.model.schema import SPANS, attribute_column, column_type

TYPES = {str: "str", bool: "bool", int: "int", float: "float", bytes: "bytes"}


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One span; ids are numbers, `parent` 0 is none, attributes by key."""

    trace: int
    span: int
    parent: int = 0
    service: str | None = "shop"
    name: str = "op"
    start: int = 0
    end: int = 10
    kind: int = 1
    status: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    resource: Mapping[str, str] = field(default_factory=dict)
    events: tuple[Mapping[str, Any], ...] = ()
    links: tuple[Mapping[str, Any], ...] = ()
    scope: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None
    library: str | None = None


def trace_id(number: int) -> bytes:
    """The id of trace `number`."""
    return number.to_bytes(16, "big")


def _fixed(row: SpanRow) -> dict[str, Any]:
    return {
        "trace_id": trace_id(row.trace),
        "span_id": row.span.to_bytes(8, "big"),
        "parent_span_id": row.parent.to_bytes(8, "big") if row.parent else None,
        "name": row.name,
        "kind": row.kind,
        "start_ns": row.start,
        "end_ns": row.end,
        "status_code": row.status,
        "events": list(row.events),
        "links": list(row.links),
        "status_message": row.message,
        "scope_name": row.library,
    }


def _attributes(row: SpanRow) -> dict[tuple[str, str, str], Any]:
    service = {} if row.service is None else {"service.name": row.service}
    scoped = [("resource", {**service, **row.resource}), ("scope", row.scope), ("attr", row.attributes)]
    return {(scope, k, TYPES.get(type(v), "json")): v for scope, pairs in scoped for k, v in pairs.items()}


def spans_table(rows: Iterable[SpanRow]) -> pa.RecordBatch:
    """The spans in the canonical schema, attributes as columns."""
    rows = list(rows)
    batch = pa.RecordBatch.from_pylist([_fixed(r) for r in rows], schema=SPANS)
    attributes = [_attributes(r) for r in rows]
    for scope, key, type_ in dict.fromkeys(k for a in attributes for k in a):
        values = pa.array([a.get((scope, key, type_)) for a in attributes])
        wanted = column_type(scope, type_)
        column = values.dictionary_encode() if pa.types.is_dictionary(wanted) else values.cast(wanted)
        batch = batch.append_column(pa.field(attribute_column(scope, key, type_), wanted), column.cast(wanted))
    return batch


def spans_batch(*rows: SpanRow) -> Batch:
    """The spans as a batch."""
    return Batch(Signal.TRACES, {"spans": spans_table(rows)})
