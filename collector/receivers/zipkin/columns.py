"""Zipkin's v2 JSON straight to columns: what nearly all bodies hold, with no object a span.

In: a list of spans. Out: the batch that `spans.spans` leads to as well, which reads bodies with anything that is not
known here (numbers as text, ids that are none, impossible times …).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from obs.collector.receivers.tag_columns import Column, Ids, TagColumns, Unusual, batch_of, id_array, of_types
from obs.collector.receivers.zipkin.messages import from_objects, notes, parsed
from obs.collector.receivers.zipkin.spans import RESOURCE, span_event, status_of
from obs.collector.receivers.zipkin.spans import spans as spans_of
from obs.errors import UserError
from obs.model.batch import Decoded
from obs.otlp.census import check_items
from obs.otlp.limits import MAX_TIME_NS
from obs.otlp.spans import KINDS, decoded

Ints = npt.NDArray[np.int64]
Objects = Sequence[Mapping[str, Any]]
_NONE = type(None)
_MAX_US = MAX_TIME_NS // 1000


def from_json(body: bytes, now_ns: int) -> Decoded:
    """The batch of a JSON list, by columns where that goes. Raises: UserError, TooLarge."""
    objects = parsed(body)
    try:
        return by_columns(objects)
    except Unusual:
        return decoded(spans_of(from_objects(objects), now_ns))


def by_columns(spans: Objects) -> Decoded:
    """The batch. Raises: Unusual, TooLarge."""
    rows = len(spans)
    if not rows:
        raise Unusual
    check_items(rows)
    fixed, tags = _fixed(spans), TagColumns.of(_column(spans, "tags", dict), rows, texts_only=True)
    scope, version = (tags.taken(f"otel.scope.{n}", f"otel.library.{n}") for n in ("name", "version"))
    status, messages = tags.status(status_of)
    tags.kinds(fixed["kind"])
    fixed |= {
        "trace_state": tags.taken("w3c.tracestate"), "scope_name": scope, "scope_version": version,
        "status_code": status, "status_message": messages,
    }  # fmt: skip
    resource = tags.out(RESOURCE)
    local, remote = (_column(spans, name, dict) for name in ("localEndpoint", "remoteEndpoint"))
    _override(resource, "service.name", _texts(local, "serviceName"))
    tags.add("net.host.ip", _addresses(local))
    tags.add("peer.service", _texts(remote, "serviceName"))
    tags.add("net.peer.ip", _addresses(remote))
    tags.add("net.host.port", _ports(local), "int")
    tags.add("net.peer.port", _ports(remote), "int")
    tags.add("zipkin.shared", [True if s.get("shared") is True else None for s in spans], "bool")
    tags.add("zipkin.debug", [True if s.get("debug") is True else None for s in spans], "bool")
    cells = {("resource", key, "str"): column for key, column in resource.items()}
    return batch_of(rows, fixed, cells | tags.cells())


def _fixed(spans: Objects) -> dict[str, Any]:
    start, took = _times(spans)
    traces, ids = (_ids([s.get(key) for s in spans], size) for key, size in (("traceId", 16), ("id", 8)))
    parents = _ids([v or "0" for v in _column(spans, "parentId", str)], 8)
    if not traces.any(axis=1).all() or not ids.all():
        raise Unusual
    parents = np.where(parents == ids, np.uint64(0), parents)[:, 0]
    known = of_types([s.get("kind") for s in spans], str, _NONE)
    codes = {kind: KINDS.get((kind or "").upper().lower(), 0) for kind in set(known)}
    return {
        "trace_id": id_array(traces), "span_id": id_array(ids),
        "parent_span_id": id_array(parents, parents != 0),
        "name": [name or "" for name in _column(spans, "name", str)], "kind": [codes[kind] for kind in known],
        "start_ns": start, "end_ns": start + took, "events": _events(spans),
    }  # fmt: skip


def _column(spans: Objects, key: str, type_: type) -> list[Any]:
    """A field of this type, None where it is not there. Raises: Unusual."""
    return of_types([s.get(key) for s in spans], type_, _NONE)


def _times(spans: Objects) -> tuple[Ints, Ints]:
    """Starts and durations in ns. Raises: Unusual where one is not known or impossible."""
    at, took = (_whole([s.get(key) for s in spans]) for key in ("timestamp", "duration"))
    if at.min() <= 0 or took.min() < 0 or at.max() > _MAX_US or took.max() > _MAX_US or (at + took).max() > _MAX_US:
        raise Unusual
    return at * 1000, took * 1000


def _whole(values: list[Any]) -> Ints:
    """Numbers, 0 where there is none. Raises: Unusual."""
    if _NONE in set(map(type, of_types(values, int, _NONE))):
        values = [v or 0 for v in values]
    try:
        return np.array(values, np.int64)
    except OverflowError:
        raise Unusual from None


def _ids(values: list[Any], size: int) -> Ids:
    """uint64[rows, size / 8] of ids in hex, padded on the left. Raises: Unusual where one is none."""
    digits = "".join([v.zfill(2 * size) for v in of_types(values, str)])
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raise Unusual from None
    if len(digits) != 2 * size * len(values) or len(raw) != size * len(values):
        raise Unusual
    return np.frombuffer(raw, ">u8").astype(np.uint64).reshape(len(values), -1)


def _events(spans: Objects) -> list[Any] | None:
    """None where there are none at all. Raises: Unusual."""
    given = _column(spans, "annotations", list)
    if not any(given):
        return None
    try:
        found = [[span_event(a) for a in notes(s, "")] if own else [] for s, own in zip(spans, given, strict=True)]
    except UserError:
        raise Unusual from None
    if not all(0 <= e["time_ns"] <= MAX_TIME_NS for events in found for e in events):
        raise Unusual
    return found


def _texts(endpoints: Sequence[Mapping[str, Any] | None], key: str) -> Column:
    """A text of endpoints, None where there is none. Raises: Unusual."""
    return [v or None for v in of_types([e.get(key) if e else None for e in endpoints], str, _NONE)]


def _addresses(endpoints: Sequence[Mapping[str, Any] | None]) -> Column:
    v4, v6 = _texts(endpoints, "ipv4"), _texts(endpoints, "ipv6")
    return [a or b for a, b in zip(v4, v6, strict=True)]


def _ports(endpoints: Sequence[Mapping[str, Any] | None]) -> Column:
    found = of_types([e.get("port") if e else None for e in endpoints], int, _NONE)
    if any(v is not None and not abs(v) < 2**63 for v in set(found)):
        raise Unusual
    return [v or None for v in found]


def _override(columns: dict[str, Column], key: str, values: Column) -> None:
    """Values where there are some, in place of what the column had."""
    had = columns.get(key)
    columns[key] = values if had is None else [v or h for v, h in zip(values, had, strict=True)]
