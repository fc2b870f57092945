"""Jaeger's Thrift batch straight to columns: what nearly all batches hold, with no object a tag.

In: a batch. Out: what `spans.from_thrift` leads to as well, which reads batches with anything that is not known here
(tags with their fields in another order, ids that are none, impossible times …).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.collector.receivers.jaeger.spans import (
    from_thrift,
    link_of,
    parent_of,
    resource_of,
    span_event,
    status_of,
)
from obs.collector.receivers.jaeger.tag_reader import TagReader
from obs.collector.receivers.tag_columns import Ids, TagColumns, Unusual, batch_of, id_array, of_types
from obs.collector.receivers.thrift import Struct, members
from obs.errors import UserError
from obs.model.batch import Decoded
from obs.otlp.census import check_items
from obs.otlp.limits import MAX_TIME_NS
from obs.otlp.spans import KINDS, UNSPECIFIED, decoded

_MAX_US = MAX_TIME_NS // 1000


def from_body(body: bytes) -> Decoded:
    """The batch, by columns where that goes. Raises: UserError, TooLarge."""
    try:
        return by_columns(body)
    except Unusual:
        return decoded(from_thrift(body))


def by_columns(body: bytes) -> Decoded:
    """The batch. Raises: Unusual."""
    try:
        process, spans = TagReader(body).batch()
        check_items(len(spans))
        return _batch(process, spans)
    except (UserError, UnicodeDecodeError, struct.error, IndexError):
        raise Unusual from None


def _batch(process: Struct, spans: list[dict[int, Any]]) -> Decoded:
    if not spans:
        raise Unusual
    rows, tags = len(spans), TagColumns.of([s.get(10) for s in spans], len(spans))
    if not {("attr", "error", "int"), ("attr", "error", "float")}.isdisjoint(tags.others):  # 1 is a truth to some
        raise Unusual
    fixed, kinds = _fixed(spans), tags.taken("span.kind")
    status, messages = tags.status(status_of)
    scope, version = (tags.taken(f"otel.scope.{n}", f"otel.library.{n}") for n in ("name", "version"))
    fixed |= {
        "kind": [KINDS.get((kind or "").lower(), UNSPECIFIED) for kind in kinds or [None] * rows],
        "trace_state": tags.taken("w3c.tracestate"), "scope_name": scope, "scope_version": version,
        "status_code": status, "status_message": messages,
    }  # fmt: skip
    cells = {("resource", key, type_): [value] * rows for key, (type_, value) in resource_of(process).items()}
    return batch_of(rows, fixed, cells | tags.cells())


def _fixed(spans: list[dict[int, Any]]) -> dict[str, Any]:
    trace = np.stack([_words(spans, 2), _words(spans, 1)], axis=1)
    span, parent = _words(spans, 3), _words(spans, 4)
    start, took = (_numbers(spans, number) for number in (8, 9))
    if not trace.any(axis=1).all() or not span.all() or start.min() < 0 or start.max() > _MAX_US:
        raise Unusual
    if np.abs(took).max() > _MAX_US or (start + took).min() < 0 or (start + took).max() > _MAX_US:
        raise Unusual
    names = of_types([s.get(5, b"") for s in spans], bytes)
    return {
        "trace_id": id_array(trace), "span_id": id_array(span), **_references(spans, trace, parent),
        "parent_span_id": id_array(parent, parent != 0), "name": [name.decode("utf-8", "replace") for name in names],
        "start_ns": start * 1000, "end_ns": (start + took) * 1000, "events": _events(spans),
    }  # fmt: skip


def _numbers(spans: list[dict[int, Any]], number: int) -> npt.NDArray[np.int64]:
    return np.array(of_types([s.get(number, 0) for s in spans], int), np.int64)


def _words(spans: list[dict[int, Any]], number: int) -> Ids:
    return _numbers(spans, number).view(np.uint64)


def _references(spans: list[dict[int, Any]], trace: Ids, parent: Ids) -> Mapping[str, Any]:
    """The links; parents that only references tell are set."""
    links: list[list[Any]] = [[] for _ in spans]
    for row, given in enumerate(spans):
        if not given.get(6):
            continue
        references = members(given, 6)
        own = parent_of(given, trace[row].astype(">u8").tobytes(), references)
        parent[row] = int.from_bytes(own or b"\0")
        links[row] = [link for ref in references if (link := link_of(ref, own)) is not None]
    return {"links": links} if any(links) else {}


def _events(spans: list[dict[int, Any]]) -> list[Any] | None:
    """None where there are none at all. Raises: Unusual, NotSo."""
    if not any(s.get(11) for s in spans):
        return None
    found = [[span_event(log) for log in members(given, 11)] for given in spans]
    if not all(0 <= event["time_ns"] <= MAX_TIME_NS for events in found for event in events):
        raise Unusual
    return found
