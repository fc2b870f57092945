"""Services: who calls whom, drawn from the spans, and how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_cytoscape as cyto
from dash import Input, Output, State, html

from obs.client import ClientError, ObsClient
from obs.ui.asking import span_of
from obs.ui.components.grid import fitted, grid, linked, number, text
from obs.ui.components.panel import panel
from obs.ui.components.states import failure, message
from obs.ui.offload import threaded
from obs.ui.palette import ERROR, MUTED, color
from obs.ui.units import count
from obs.ui.view import View, link

COLUMNS = [
    linked(text("service", "Service", flex=2), "href"),
    text("calls", "Calls", flex=3),
    number("incoming", "Called", "count"),
    number("failed", "Failed", "percent"),
    number("took", "Took, mean", "seconds", width=120),
    number("outgoing", "Calls out", "count"),
]
FAILED = 0.05
"""A call is drawn red from this share of failures."""
STYLE = [
    {"selector": "node", "style": {
        "label": "data(label)", "background-color": "data(color)", "width": "data(size)", "height": "data(size)",
        "color": MUTED, "font-size": 12, "text-valign": "center", "text-halign": "right", "text-margin-x": 6,
        "font-family": "system-ui, sans-serif", "border-width": 0}},
    {"selector": "edge", "style": {
        "label": "data(label)", "curve-style": "bezier", "target-arrow-shape": "triangle", "arrow-scale": 0.9,
        "line-color": "data(color)",
        "target-arrow-color": "data(color)", "width": "data(width)", "opacity": 0.65, "color": MUTED,
        "font-size": 11, "text-margin-x": 14, "text-margin-y": -8, "font-family": "system-ui, sans-serif"}},
    {"selector": "node:selected", "style": {"border-width": 3, "border-color": MUTED}},
]  # fmt: skip


def layout(view: View, _: str) -> Any:
    """The page before its data is there."""
    graph = cyto.Cytoscape(
        id="service-map", elements=[], stylesheet=STYLE, style={"width": "100%", "height": "440px"},
        layout={"name": "breadthfirst", "directed": True, "spacingFactor": 1.3, "padding": 40, "animate": False},
        minZoom=0.3, maxZoom=1.4, responsive=True,
    )  # fmt: skip
    return html.Div(
        [
            html.H1("Services", className="sr-only"),
            panel("Who calls whom", html.Div(graph, id="map-frame"), html.Div(id="map-empty"),
                  aside="click a service for its traces"),
            panel("Services", grid("services", COLUMNS, height=200, empty="No services", row_id="service")),
        ],
        className="page",
    )  # fmt: skip


def register(app: Any, client: ObsClient) -> None:
    """Add the page's callbacks."""
    app.clientside_callback(
        """function (node) {
            if (!node) return dash_clientside.no_update;
            const kept = obs.shared();
            kept.set("service", node.id);
            obs.go("/ui/traces?" + kept);
            return dash_clientside.no_update;
        }""",
        Input("service-map", "tapNodeData"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("service-map", "elements"),
        Output("map-frame", "className"),
        Output("map-empty", "children"),
        Output("services", "rowData"),
        Output("services", "style"),
        Input("url", "search"),
        Input("tick", "n_intervals"),
        State("offset", "data"),
    )
    @threaded
    def show(search: str, _: int, offset_s: int) -> tuple[Any, ...]:
        view, span = View.parse(search), span_of(search, offset_s)
        try:
            calls = client.traces.graph(span.start_ns, span.end_ns)
            names = client.traces.services()
        except ClientError as e:
            return [], "hidden", failure(e), [], fitted(0, 8)
        if not names and not calls:
            return [], "hidden", _nothing(), [], fitted(0, 8)
        rows = table_rows(names, calls, view)
        return elements(rows, calls), "", None, rows, fitted(len(rows), 12)


def elements(rows: Sequence[Mapping[str, Any]], calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Nodes sized by how often they are called, and the calls between them."""
    most = max((row["incoming"] for row in rows), default=0) or 1
    nodes = [
        {"data": {"id": r["service"], "label": r["service"], "color": color(i),
                  "size": 30 + 26 * (r["incoming"] / most) ** 0.5}}
        for i, r in enumerate(rows)
    ]  # fmt: skip
    top = max((call["calls"] for call in calls), default=0) or 1
    edges = [
        {"data": {"source": c["parent"], "target": c["child"], "label": count(c["calls"]),
                  "width": 1 + 3 * (c["calls"] / top) ** 0.5,
                  "color": ERROR if c["errors"] > FAILED * c["calls"] else MUTED}}
        for c in calls
    ]  # fmt: skip
    return [*nodes, *edges]


def table_rows(names: Sequence[str], calls: Sequence[Mapping[str, Any]], view: View) -> list[dict[str, Any]]:
    """A row a service."""
    every = sorted({*names, *(c["parent"] for c in calls), *(c["child"] for c in calls)})
    return [_row(name, calls, view) for name in every]


def _row(name: str, calls: Sequence[Mapping[str, Any]], view: View) -> dict[str, Any]:
    taken = [c for c in calls if c["child"] == name]
    made = [c for c in calls if c["parent"] == name]
    incoming = sum(c["calls"] for c in taken)
    return {
        "service": name,
        "calls": ", ".join(c["child"] for c in made),
        "incoming": incoming,
        "failed": sum(c["errors"] for c in taken) / incoming if incoming else None,
        "took": sum(c["durationNs"] for c in taken) / incoming / 1e9 if incoming else None,
        "outgoing": sum(c["calls"] for c in made),
        "href": link("/ui/traces", view, service=name),
    }


def _nothing() -> Any:
    text = "The map is drawn from spans that call each other across services; `obs demo` runs a small shop."
    return message("No services in this range", text)
