"""A trace as the API gives it, and as a waterfall shows it: order, depth, places in time, self time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class Row:
    """A span's place in the waterfall; `left` and `width` are shares of the trace's time."""

    span: Span
    depth: int
    children: int
    left: float
    width: float
    self_s: float
    orphan: bool


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
    """Rows in the order of the tree: parents before children, siblings by start. A lost parent makes a root."""
    known = {span.id: span for span in spans}
    children: dict[str, list[Span]] = {}
    roots: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start_ns, -s.end_ns)):
        own = span.parent in known and span.parent != span.id
        (children.setdefault(span.parent, []) if own else roots).append(span)
    start, end = bounds(spans)
    return list(_walk(roots, children, known, start, max(end - start, 1)))


def _walk(
    roots: Sequence[Span], children: Mapping[str, list[Span]], known: Mapping[str, Span], start: int, whole: int
) -> Iterable[Row]:
    stack = [(span, 0) for span in reversed(roots)]
    seen: set[str] = set()
    while stack:
        span, depth = stack.pop()
        if span.id in seen:
            continue
        seen.add(span.id)
        under = children.get(span.id, [])
        yield Row(
            span, depth, len(under), (span.start_ns - start) / whole, (span.end_ns - span.start_ns) / whole,
            self_time_s(span, under), bool(span.parent) and span.parent not in known,
        )  # fmt: skip
        stack.extend((child, depth + 1) for child in reversed(under))


def bounds(spans: Sequence[Span]) -> tuple[int, int]:
    """When the trace began and ended."""
    return min((s.start_ns for s in spans), default=0), max((s.end_ns for s in spans), default=0)


def self_time_s(span: Span, children: Iterable[Span]) -> float:
    """The time of a span in which none of its children ran."""
    covered, reached = 0, span.start_ns
    for child in sorted(children, key=lambda c: c.start_ns):
        start, end = max(child.start_ns, reached), min(child.end_ns, span.end_ns)
        if end > start:
            covered += end - start
            reached = end
    return (span.end_ns - span.start_ns - covered) / 1e9


def services(spans: Iterable[Span]) -> dict[str, tuple[int, float]]:
    """Of each service: how many spans, and how much time of their own, by the latter."""
    rows = waterfall(list(spans))
    found: dict[str, tuple[int, float]] = {}
    for row in rows:
        count, own = found.get(row.span.service, (0, 0.0))
        found[row.span.service] = (count + 1, own + row.self_s)
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))
