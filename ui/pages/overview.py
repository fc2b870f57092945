"""Overview: the node, its containers, and obs itself."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, State, html

from obs.client import ObsClient
from obs.ui.asking import instants, ranges, span_of
from obs.ui.components.grid import fitted, grid
from obs.ui.components.panel import chart, chart_id, panel
from obs.ui.components.states import skeleton
from obs.ui.offload import threaded
from obs.ui.pages import containers, health, node
from obs.ui.view import View

CHARTS_HEIGHT = 178


def layout(view: View, _: str) -> Any:
    """The page before its data is there."""
    charts = [panel(c.title, chart(c.id, CHARTS_HEIGHT)) for c in node.CHARTS]
    return html.Div(
        [
            html.H1("Overview", className="sr-only"),
            html.Div(skeleton(86), id="tiles", className="tiles"),
            html.Div(charts, className="charts"),
            panel(
                "Containers and control groups",
                grid("containers", containers.COLUMNS, height=300, empty=containers.EMPTY, row_id="id"),
                aside=html.Span(id="containers-note"),
            ),
            html.Div(
                [
                    panel("Taken in by obs", chart("taken-in", CHARTS_HEIGHT), aside="items per second"),
                    panel("Stores", html.Div(skeleton(26, 4), id="stores")),
                ],
                className="two",
            ),
        ],
        className="page",
    )


def register(app: Any, client: ObsClient) -> None:
    """Add the page's callbacks."""
    when = (Input("url", "search"), Input("tick", "n_intervals"), State("offset", "data"))

    @app.callback(Output("tiles", "children"), *when)
    @threaded
    def tiles(search: str, _: int, offset_s: int) -> Any:
        end_s = span_of(search, offset_s).end_s
        return node.tiles(instants(client, node.TILES, end_s), View.parse(search))

    @app.callback(*[Output(chart_id(c.id), "figure") for c in node.CHARTS], *when)
    @threaded
    def charts(search: str, _: int, offset_s: int) -> Any:
        span = span_of(search, offset_s).aligned()
        queries = {q: text for c in node.CHARTS for q, text in c.at(span).items()}
        answers = ranges(client, queries, span)
        return [c.figure(answers, span) for c in node.CHARTS]

    @app.callback(
        Output("containers", "rowData"), Output("containers", "style"), Output("containers-note", "children"), *when
    )
    @threaded
    def table(search: str, _: int, offset_s: int) -> Any:
        rows = containers.rows(
            instants(client, containers.QUERIES, span_of(search, offset_s).end_s), View.parse(search)
        )
        return rows, fitted(len(rows), 10), f"{len(rows)} groups" if rows else ""

    @app.callback(Output(chart_id("taken-in"), "figure"), Output("stores", "children"), *when)
    @threaded
    def own(search: str, _: int, offset_s: int) -> Any:
        span = span_of(search, offset_s).aligned()
        return health.rates(ranges(client, health.rate_queries(span), span), span), health.stores(client)
