"""Metrics: PromQL queries drawn over the range, their series in figures, their values at its end."""

from __future__ import annotations

from functools import partial
from string import ascii_uppercase
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Input, Output, State, dcc, html, no_update

from obs.client import ClientError, ObsClient, QueryResult
from obs.ui.asking import instants, ranges, span_of, together
from obs.ui.components.editor import editor
from obs.ui.components.grid import fitted, grid, linked, text
from obs.ui.components.panel import chart, chart_id, panel
from obs.ui.components.states import failure, reason
from obs.ui.offload import threaded
from obs.ui.pages import metric_results
from obs.ui.view import View, link

PLACEHOLDER = "PromQL, such as rate(node_cpu_seconds_total[1m])"
ROW = {"type": "promql", "index": ALL}


def layout(view: View, _: str) -> Any:
    """The page before its data is there."""
    buttons = html.Div(
        [
            dmc.Button("Run", id="run-promql", size="xs", leftSection=html.Span(className="icon icon-play")),
            dmc.Button("Add query", id="add-promql", size="xs", variant="default"),
            html.Span("Enter runs · Shift+Enter new line · drag across the chart to zoom", className="hint spring"),
            dmc.SegmentedControl(
                id="metrics-view", size="xs", value=view.get("view", "graph"),
                data=[{"value": "graph", "label": "Graph"}, {"value": "instant", "label": "Instant"}],
            ),
        ],
        className="bar-line",
    )  # fmt: skip
    errors = html.Div(id="promql-errors")
    return html.Div(
        [
            html.H1("Metrics", className="sr-only"),
            dcc.Store(id="metric-names"),
            panel(None, html.Div(rows(view.all("q") or ("",)), id="promql-rows"), buttons, errors),
            html.Div(
                [
                    panel(None, chart("metrics", 340), html.Div(id="metrics-note", className="hint")),
                    panel(None, grid("series", metric_results.SERIES, empty="No series")),
                ],
                id="metrics-graph",
                className="hidden",
            ),
            html.Div(panel(None, grid("instant", metric_results.INSTANT, empty="Nothing at this moment", height=480)),
                     id="metrics-instant", className="hidden"),
            html.Div(
                panel(
                    "Metrics that are here",
                    dmc.TextInput(id="metric-filter", placeholder="Filter by name or help", size="xs", w=320, mb=8),
                    grid("metric-list", COLUMNS, empty="No metrics yet: point an OpenTelemetry exporter at port 4317",
                         height=520, row_id="name"),
                ),
                id="metrics-browser",
                className="" if not view.all("q") else "hidden",
            ),
        ],
        className="page",
    )  # fmt: skip


COLUMNS = [
    linked(text("name", "Metric", flex=3, minWidth=280), "href"),
    text("type", "Type", flex=0, width=110),
    text("unit", "Unit", flex=0, width=90),
    text("help", "What it says", flex=4, minWidth=200),
]


def rows(queries: tuple[str, ...] | list[str]) -> list[Any]:
    """A box for each query, lettered as its lines are in the table."""
    return [
        html.Div(
            [
                html.Span(letter(i), className="query-letter"),
                editor({"type": "promql", "index": i}, query, "promql", "run-promql", PLACEHOLDER),
                html.Button(
                    html.Span(className="icon icon-close"),
                    id={"type": "drop-promql", "index": i},
                    className="icon-button",
                    title="Remove this query",
                ),
            ],
            className="query-row",
        )
        for i, query in enumerate(queries)
    ]


def letter(index: int) -> str:
    """A, B, C …"""
    return ascii_uppercase[index % 26]


def register(app: Any, client: ObsClient) -> None:
    """Add the page's callbacks."""
    run, names = ClientsideFunction("editor", "run"), ClientsideFunction("editor", "promql")
    app.clientside_callback(run, Input("run-promql", "n_clicks"), State(ROW, "value"), prevent_initial_call=True)
    app.clientside_callback(
        ClientsideFunction("editor", "drop"),
        Input({"type": "drop-promql", "index": ALL}, "n_clicks"),
        State(ROW, "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(names, Input("metric-names", "data"))
    app.clientside_callback(
        "function (v) { obs.change({ view: v === 'graph' ? '' : v }); return dash_clientside.no_update; }",
        Input("metrics-view", "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        "function (words, options) { return { ...options, quickFilterText: words || '' }; }",
        Output("metric-list", "dashGridOptions"),
        Input("metric-filter", "value"),
        State("metric-list", "dashGridOptions"),
        prevent_initial_call=True,
    )
    _register_rows(app)
    _register_results(app, client)
    _register_browser(app, client)


def _register_rows(app: Any) -> None:
    @app.callback(
        Output("promql-rows", "children"),
        Input("url", "search"),
        Input("add-promql", "n_clicks"),
        State(ROW, "value"),
        prevent_initial_call=True,
    )
    def keep(search: str, added: int | None, shown: list[str]) -> Any:
        from dash import ctx

        if ctx.triggered_id == "add-promql":
            return rows([*shown, ""])
        asked = list(View.parse(search).all("q")) or [""]
        return no_update if asked == shown else rows(asked)


def _register_results(app: Any, client: ObsClient) -> None:
    @app.callback(
        Output(chart_id("metrics"), "figure"),
        Output("series", "rowData"),
        Output("instant", "rowData"),
        Output("instant", "style"),
        Output("promql-errors", "children"),
        Output("metrics-note", "children"),
        Output("metrics-graph", "className"),
        Output("metrics-instant", "className"),
        Output("metrics-browser", "className"),
        Output("metrics-view", "value"),
        Input("url", "search"),
        Input("tick", "n_intervals"),
        State("offset", "data"),
    )
    @threaded
    def show(search: str, _: int, offset_s: int) -> tuple[Any, ...]:
        view, span = View.parse(search), span_of(search, offset_s)
        queries, mode = view.all("q"), view.get("view", "graph")
        if not queries:
            return no_update, [], [], no_update, None, None, "hidden", "hidden", "", mode
        if mode == "instant":
            answers = instants(client, {q: q for q in queries}, span.end_s)
            table = metric_results.instant_rows(answers)
            said = [*_errors(answers), *_reasons(client, answers, time_s=span.end_s)]
            return no_update, [], table, fitted(len(table), 20), said, None, "hidden", "", "hidden", mode
        span = span.aligned()
        answers = ranges(client, {q: q for q in queries}, span)
        drawn = metric_results.draw(answers, span)
        times = {"start_s": span.start_s, "end_s": span.end_s, "step_s": span.step_s}
        said = [*_errors(answers), *_reasons(client, answers, **times)]
        return drawn.figure, drawn.rows, [], no_update, said, drawn.note, "stack", "hidden", "hidden", mode


def _errors(answers: dict[str, Any]) -> list[Any]:
    return [failure(a) for a in answers.values() if isinstance(a, ClientError)]


def _reasons(client: ObsClient, answers: dict[str, Any], **times: float) -> list[Any]:
    """Why queries that can be asked gave nothing: the matcher, the label or the time to blame."""
    empty = [q for q, a in answers.items() if isinstance(a, QueryResult) and not a.result]
    found = together({q: partial(client.prometheus.query_why, q, **times) for q in empty})
    return [reason(r["expression"], r["text"]) for rs in found.values() if isinstance(rs, list) for r in rs]


def _register_browser(app: Any, client: ObsClient) -> None:
    @app.callback(
        Output("metric-names", "data"),
        Output("metric-list", "rowData"),
        Input("url", "pathname"),
        State("url", "search"),
        State("offset", "data"),
    )
    @threaded
    def browse(_: str, search: str, offset_s: int) -> tuple[Any, ...]:
        span, view = span_of(search, offset_s), View.parse(search)
        try:
            names = client.prometheus.label_values("__name__", (), span.start_s, span.end_s)
            rows = metric_results.browser_rows(names, client.prometheus.metadata())
        except ClientError:
            return [], []
        return names, [{**row, "href": link("/ui/metrics", view, q=row["query"])} for row in rows]
