"""The span chosen in a waterfall: what it says of itself, and where to go from it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from dash import html

from obs.ui.naming import quoted
from obs.ui.tracing import Row, Span
from obs.ui.units import duration
from obs.ui.view import View, link

AROUND_S = 300
"""Links lead to this much before and after: what led to a slow span is often minutes old."""


def draw(trace_id: str, row: Row, bounds: tuple[int, int]) -> list[Any]:
    """The panel's content."""
    span = row.span
    status = [html.Span("error", className="state state-error"), span.status_message] if span.failed else []
    after = duration((span.start_ns - bounds[0]) / 1e9)
    timing = f"{duration(span.duration_s)}, of its own {duration(span.self_s)}, began after {after}"
    facts = {"Service": span.service, "Kind": span.kind, "Span id": span.id, "Library": span.scope}
    return [
        html.Div(span.name, className="span-title"),
        html.Div(timing, className="hint"),
        html.Div(status, className="span-status") if status else None,
        html.Div("Its parent is not among the spans received.", className="hint") if row.orphan else None,
        html.Div(_links(trace_id, span), className="detail-links"),
        table({k: v for k, v in facts.items() if v}),
        *_section("Attributes", span.attributes),
        *_events(span),
        *_section("Resource", span.resource),
        *_span_links(span),
    ]


def logs_link(trace_id: str, span_id: str | None, start_ns: int, end_ns: int) -> str:
    """The records that carry a trace's id, or a span's."""
    query = f"{{}} | trace_id = {quoted(trace_id)}" + (f" | span_id = {quoted(span_id)}" if span_id else "")
    return link("/ui/logs", _around(start_ns, end_ns), q=query)


def _links(trace_id: str, span: Span) -> list[Any]:
    around = _around(span.start_ns, span.end_ns)
    found = [("Logs of this span", logs_link(trace_id, span.id, span.start_ns, span.end_ns))]
    if span.service:
        metrics = f"count by (__name__) ({{job=~{quoted('(.*/)?' + re.escape(span.service))}}})"
        found.append(("Metrics of its service", link("/ui/metrics", around, q=metrics, view="instant")))
        found.append(("Others like it", link("/ui/traces", around, service=span.service, operation=span.name)))
    return [html.A(words, href=href, className="button-link") for words, href in found]


def _around(start_ns: int, end_ns: int) -> View:
    return View({"from": (str(start_ns // 10**9 - AROUND_S),), "to": (str(end_ns // 10**9 + AROUND_S),)})


def _section(title: str, values: Mapping[str, Any]) -> list[Any]:
    return [html.H3(title), table(values)] if values else []


def table(values: Mapping[str, Any]) -> Any:
    """Names and values, as sent."""
    rows = [
        html.Tr(
            [html.Td(breakable(name), className="attribute-name"), html.Td(written(value), className="attribute-value")]
        )
        for name, value in values.items()
    ]
    return html.Table(html.Tbody(rows), className="attributes")


def breakable(name: str) -> list[Any]:
    """A dotted name that may break after a dot and nowhere else."""
    first, *rest = name.split(".")
    return [first, *(part for word in rest for part in (".", html.Wbr(), word))]


def written(value: Any) -> str:
    """A value as JSON, texts as they are."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _events(span: Span) -> list[Any]:
    if not span.events:
        return []
    shown = []
    for event in span.events:
        offset = (int(event.get("timeNs", span.start_ns)) - span.start_ns) / 1e9
        head = [html.B(event.get("name") or "event"), html.Span(f" after {duration(offset)}", className="hint")]
        shown.append(html.Div([html.Div(head), table(_attributes(event))], className="span-event"))
    return [html.H3("Events"), *shown]


def _attributes(event: Mapping[str, Any]) -> Mapping[str, Any]:
    found = event.get("attributes") or {}
    return json.loads(found) if isinstance(found, str) else found


def _span_links(span: Span) -> list[Any]:
    if not span.links:
        return []
    anchors = [html.A(other["traceId"], href=f"/ui/traces/{other['traceId']}?span={other.get('spanId', '')}",
                      className="mono") for other in span.links]  # fmt: skip
    return [html.H3("Links"), *(html.Div(anchor) for anchor in anchors)]
