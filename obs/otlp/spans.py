"""Spans from Python values: what receivers of protocols other than OTLP make of theirs.

In: `Span`s. Out: the canonical batch, and those that cannot be stored by reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from obs.model.batch import Batch, Decoded, Signal
from obs.model.schema import SPANS
from obs.otlp import reasons
from obs.otlp.census import check_items
from obs.otlp.columns import Rows
from obs.otlp.limits import MAX_TIME_NS
from obs.otlp.records import cell, json_text, mended
from obs.otlp.slow import valid_id
from obs.otlp.values import Cell

UNSET, OK, ERROR = range(3)
UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(6)
KINDS: Mapping[str, int] = {
    "internal": INTERNAL, "server": SERVER, "client": CLIENT, "producer": PRODUCER, "consumer": CONSUMER,
}  # fmt: skip
"""OpenTracing's and Zipkin's words, in lower case."""


@dataclass(slots=True)
class Span:
    """One span. `resource` and `attributes` are cells by key; see `records.cell`. Ids that are none refuse it."""

    trace_id: bytes
    span_id: bytes
    start_ns: int
    end_ns: int
    name: str = ""
    parent_id: bytes = b""  # none or all zero: a root
    kind: int = UNSPECIFIED
    status: int = UNSET
    message: str = ""
    trace_state: str = ""
    scope_name: str = ""
    scope_version: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)  # see `event`
    links: list[dict[str, Any]] = field(default_factory=list)  # see `link`
    resource: Mapping[str, Cell] = field(default_factory=dict)
    attributes: Mapping[str, Cell] = field(default_factory=dict)


def clean_cells(values: Mapping[str, Any]) -> dict[str, Cell]:
    """The cells of those that are not null, of values whose texts are known to be UTF-8."""
    return {key: ("str", v) if type(v) is str else cell(v) for key, v in values.items() if v is not None}


def taken(tags: dict[str, Any], *keys: str) -> str:
    """The text of the first of these tags, which then are tags no longer."""
    found = [tags.pop(key) for key in keys if isinstance(tags.get(key), str)]
    return found[0] if found else ""


def event(time_ns: int, name: str, attributes: Mapping[str, Any] | None = None, dropped: int = 0) -> dict[str, Any]:
    """A span event as the schema has it; `attributes` are values that JSON knows."""
    return {"time_ns": time_ns, "name": mended(name), "attributes": json_text(attributes or {}), "dropped": dropped}


def link(trace_id: bytes, span_id: bytes, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A link as the schema has it; ids that are none become null."""
    return {
        "trace_id": valid_id(trace_id, 16),
        "span_id": valid_id(span_id, 8),
        "trace_state": None,
        "attributes": json_text(attributes),
        "dropped": 0,
        "flags": 0,
    }


def decoded(spans: Iterable[Span]) -> Decoded:
    """The batch of `spans`; those of impossible ids or times are refused. Raises: TooLarge."""
    rows, rejected = Rows(SPANS), Counter[str]()
    for count, span in enumerate(spans, 1):
        check_items(count)
        fault = _fault(span)
        if fault:
            rejected[fault] += 1
        else:
            rows.add(_row(span), ("resource", span.resource), ("attr", span.attributes))
    batch = rows.batch()
    return Decoded(Batch(Signal.TRACES, {"spans": batch} if batch.num_rows else {}), dict(rejected))


def _fault(span: Span) -> str | None:
    """Why a span cannot be stored."""
    if valid_id(span.trace_id, 16) is None:
        return reasons.TRACE_ID
    if valid_id(span.span_id, 8) is None:
        return reasons.SPAN_ID
    if len(span.parent_id) not in (0, 8):
        return reasons.PARENT_ID
    times = (span.start_ns, span.end_ns, *(e["time_ns"] for e in span.events))
    return None if min(times) >= 0 and max(times) <= MAX_TIME_NS else reasons.TIME


def _row(span: Span) -> tuple[Any, ...]:
    """The columns of SPANS, in their order."""
    return (
        span.trace_id,
        span.span_id,
        valid_id(span.parent_id, 8),
        span.trace_state or None,
        0,
        mended(span.name),
        span.kind,
        span.start_ns,
        span.end_ns,
        span.status,
        mended(span.message) or None,
        span.scope_name or None,
        span.scope_version or None,
        span.events,
        span.links,
        0,
        0,
        0,
    )
