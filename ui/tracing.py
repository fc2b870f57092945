"""A trace as the API gives it, spans in the order of the tree, and as a waterfall shows it: places in time. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """One span; times are nanoseconds since 1970, by its parent's clock where its own disagrees."""

    id: str
    parent: str
    name: str
    service: str
    start_ns: int
    end_ns: int
    depth: int = 0
    self_ns: int = 0
    kind: str = ""
    failed: bool = False
    status_message: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    resource: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    links: Sequence[Mapping[str, Any]] = ()
    scope: str = ""

    @property
    def duration_s(self) -> float:
        """How long it took."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def self_s(self) -> float:
        """The time of it in which none of its children ran."""
        return self.self_ns / 1e9


@dataclass(frozen=True, slots=True)
class Row:
    """A span's place in the waterfall; `left` and `width` are shares of the trace's time."""

    span: Span
    children: int
    left: float
    width: float
    orphan: bool  # it stands at the top because its parent is not there


def spans_of(trace: Mapping[str, Any]) -> list[Span]:
    """The spans of a trace as the API writes it."""
    return [_span(value) for value in trace.get("spans", ())]


def _span(value: Mapping[str, Any]) -> Span:
    status = value.get("status") or {}
    start_ns = int(value["startNs"]) + int(value.get("skewNs", 0))
    return Span(
        id=value["spanId"],
        parent=value.get("parentSpanId") or "",
        name=value.get("name") or "",
        service=value.get("service") or "",
        start_ns=start_ns,
        end_ns=start_ns + int(value["durationNs"]),
        depth=int(value["depth"]),
        self_ns=int(value["selfNs"]),
        kind=(value.get("kind") or "").replace("unspecified", ""),
        failed=status.get("code") == "error",
        status_message=status.get("message") or "",
        attributes=_pairs(value.get("attributes")),
        resource=_pairs(value.get("resource")),
        events=value.get("events") or (),
        links=value.get("links") or (),
        scope=(value.get("scope") or {}).get("name") or "",
    )


def _pairs(attributes: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """Attributes by key; where a key came with two types, the later ones carry theirs."""
    found: dict[str, Any] = {}
    for attribute in attributes or ():
        key = attribute["key"]
        found[f"{key} ({attribute.get('type', '')})" if key in found else key] = attribute["value"]
    return found


def waterfall(spans: Sequence[Span]) -> list[Row]:
    """A row for each span. Two may have one id: a client and its server."""
    known = {span.id for span in spans}
    start, end = bounds(spans)
    whole = max(end - start, 1)
    return [
        Row(
            span, children, (span.start_ns - start) / whole, (span.end_ns - span.start_ns) / whole,
            not span.depth and bool(span.parent) and span.parent not in known,
        )
        for span, children in zip(spans, _children(spans), strict=True)
    ]  # fmt: skip


def _children(spans: Sequence[Span]) -> list[int]:
    """How many children each span has, by the depths."""
    found = [0] * len(spans)
    path: list[int] = []
    for place, span in enumerate(spans):
        del path[span.depth :]
        if path:
            found[path[-1]] += 1
        path.append(place)
    return found


def bounds(spans: Sequence[Span]) -> tuple[int, int]:
    """When the trace began and ended."""
    return min((s.start_ns for s in spans), default=0), max((s.end_ns for s in spans), default=0)


def services(spans: Sequence[Span]) -> dict[str, tuple[int, float]]:
    """Of each service: how many spans, and how much time of their own, by the latter."""
    found: dict[str, tuple[int, float]] = {}
    for span in spans:
        count, own = found.get(span.service, (0, 0.0))
        found[span.service] = (count + 1, own + span.self_s)
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))
