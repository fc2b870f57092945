"""Log records from Python values: what receivers of protocols other than OTLP make of theirs.

In: `Record`s. Out: the canonical batch, and those that cannot be stored by reason. Some 100,000 records a second.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from obs.errors import UserError
from obs.model.batch import Batch, Decoded, Signal
from obs.model.schema import LOGS
from obs.otlp import reasons
from obs.otlp.columns import Rows
from obs.otlp.limits import MAX_NESTING, MAX_TIME_NS
from obs.otlp.values import Cell

BODY_NONE, BODY_TEXT, BODY_JSON = range(3)

INT64 = range(-(1 << 63), 1 << 63)

NO_CELLS: Mapping[str, Cell] = {}


@dataclass(slots=True)
class Record:
    """One log record. `resource` and `attributes` are cells by key; see `cell` and `cells`."""

    body: str | None
    time_ns: int = 0  # 0: not known, as of now
    severity_number: int = 0
    severity_text: str | None = None
    body_type: int = BODY_TEXT
    trace_id: bytes | None = None
    span_id: bytes | None = None
    resource: Mapping[str, Cell] = field(default_factory=dict)
    attributes: Mapping[str, Cell] = field(default_factory=dict)


def decoded(records: Iterable[Record], now_ns: int | None = None) -> Decoded:
    """The batch of `records`; those of impossible times are refused."""
    now = time.time_ns() if now_ns is None else now_ns
    rows, rejected = Rows(LOGS), Counter[str]()
    for record in records:
        if not 0 <= record.time_ns <= MAX_TIME_NS:
            rejected[reasons.TIME] += 1
            continue
        rows.add(_row(record, now), ("resource", record.resource), ("attr", record.attributes))
    batch = rows.batch()
    return Decoded(Batch(Signal.LOGS, {"logs": batch} if batch.num_rows else {}), dict(rejected))


def _row(record: Record, now_ns: int) -> tuple[Any, ...]:
    """The columns of LOGS, in their order."""
    return (
        record.time_ns or now_ns,
        now_ns,
        record.severity_number,
        record.severity_text or None,
        record.body,
        BODY_NONE if record.body is None else record.body_type,
        record.trace_id,
        record.span_id,
        0,
        None,
        None,
        None,
        0,
    )


def cell(value: Any) -> Cell:
    """A JSON-like value with its column type: text, bool, int64 and float as they are, all else as JSON text."""
    if isinstance(value, str):
        return "str", mended(value)
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, int) and value in INT64:
        return "int", value
    if isinstance(value, float):
        return "float", value
    if isinstance(value, bytes):
        return "str", value.decode("utf-8", "replace")
    return "json", json_text(value)


def cells(values: Mapping[str, Any]) -> dict[str, Cell]:
    """The cells of those that are not null."""
    return {mended(key): cell(value) for key, value in values.items() if value is not None}


def texts(values: Mapping[str, str]) -> dict[str, Cell]:
    """The cells of texts that are not empty."""
    return {mended(key): ("str", mended(value)) for key, value in values.items() if value}


def json_text(value: Any) -> str:
    """A value as JSON text; what JSON does not know as its text. Raises: UserError where it is nested too deep."""
    if _is_too_deep(value):
        raise UserError("cannot store a value: its lists are nested too deep; send it flatter, or as text")
    return mended(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_as_text))


def _is_too_deep(value: Any) -> bool:
    """Whether a value nests past `MAX_NESTING`. Python's own limit is no answer: what other rooms need moves it."""
    level = [value]
    for _ in range(MAX_NESTING):
        holders = [holder for holder in level if isinstance(holder, dict | list | tuple)]
        if not holders:
            return False
        level = [each for holder in holders for each in (holder.values() if isinstance(holder, dict) else holder)]
    return any(isinstance(each, dict | list | tuple) for each in level)


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def mended(text: str) -> str:
    """Text with each half of a surrogate pair that stands alone as U+FFFD: no UTF-8 can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
