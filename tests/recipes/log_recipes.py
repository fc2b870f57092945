"""Small batches of log records from plain values, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from obs.model.batch import Batch, Signal
from obs.model.schema import LOGS, attribute_column, column_type

NS = 1_000_000_000
SEVERITIES = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
_TYPES: dict[type, str] = {str: "str", int: "int", float: "float", bool: "bool", bytes: "bytes"}


@dataclass(frozen=True)
class Record:
    """One record, all attributes by key."""

    time_ns: int
    body: str | None = ""
    resource: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    severity: str = ""
    trace_id: bytes | None = None
    span_id: bytes | None = None


def logs_batch(records: Iterable[Record]) -> Batch:
    """A logs batch in the canonical schema."""
    rows = list(records)
    columns: dict[str, tuple[pa.DataType, list[Any]]] = {f.name: (f.type, [None] * len(rows)) for f in LOGS}
    for i, record in enumerate(rows):
        for name, value in _fixed(record).items():
            columns[name][1][i] = value
        for scope, pairs in (("resource", record.resource), ("attr", record.attributes)):
            for key, value in pairs.items():
                type_ = _TYPES[type(value)]
                name = attribute_column(scope, key, type_)
                columns.setdefault(name, (column_type(scope, type_), [None] * len(rows)))[1][i] = value
    arrays = {name: pa.array(values, type_) for name, (type_, values) in columns.items()}
    return Batch(Signal.LOGS, {"logs": pa.RecordBatch.from_pydict(arrays)})


def _fixed(record: Record) -> dict[str, Any]:
    return {
        "time_ns": record.time_ns,
        "observed_ns": record.time_ns,
        "severity_number": SEVERITIES.get(record.severity, 0),
        "severity_text": record.severity or None,
        "body": record.body,
        "body_type": 0 if record.body is None else 1,
        "trace_id": record.trace_id,
        "span_id": record.span_id,
    }
