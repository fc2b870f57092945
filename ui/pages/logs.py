"""Logs: search, volume by level, facets, and the records themselves, newest first."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, dcc, html, no_update

from obs.client import ClientError, ObsClient, QueryResult
from obs.ui import figures, log_query
from obs.ui.asking import matrix, span_of, together
from obs.ui.components.editor import editor
from obs.ui.components.panel import chart, chart_id, panel
from obs.ui.components.states import failure, message, skeleton
from obs.ui.naming import short_names
from obs.ui.offload import threaded
from obs.ui.pages import facets
from obs.ui.timerange import STEPS_S, TimeRange
from obs.ui.units import count
from obs.ui.view import View

PLACEHOLDER = 'Words to find, or LogQL such as {service_name="cart"} |= "timeout" | status >= 500'
FIRST_ROWS, MORE_ROWS, MOST_ROWS = 200, 400, 4000
BARS = 80
NO_ROWS: dict[str, list[Any]] = {"rows": [], "words": []}


def layout(view: View, _: str) -> Any:
    """The page before its data is there."""
    search = html.Div(
        [
            editor("log-query", view.get("q"), "logql", "run-logs", PLACEHOLDER),
            dmc.Button("Search", id="run-logs", size="sm", leftSection=html.Span(className="icon icon-search")),
        ],
        className="search-line",
    )
    return html.Div(
        [
            html.H1("Logs", className="sr-only"),
            dcc.Store(id="log-rows"),
            dcc.Store(id="log-labels"),
            panel(None, search, html.Div(id="log-filters"), html.Div(id="log-errors")),
            panel(None, chart("volume", 120), html.Div(id="log-note", className="hint")),
            html.Div(
                [
                    panel(None, html.Div(skeleton(18, 9), id="log-facets"), class_name="facets"),
                    panel(
                        None,
                        html.Div(skeleton(18, 12), id="log-waiting"),
                        html.Div(id="log-list", className="log-list"),
                        html.Div(id="log-more", className="log-more"),
                        class_name="log-panel",
                    ),
                ],
                className="with-side",
            ),
        ],
        className="page",
    )


def register(app: Any, client: ObsClient) -> None:
    """Add the page's callbacks."""
    app.clientside_callback(
        "function (clicks, text) { obs.change({ q: text || '', rows: '' }); return dash_clientside.no_update; }",
        Input("run-logs", "n_clicks"),
        State("log-query", "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        "function () { return new URLSearchParams(location.search).get('q') || ''; }",
        Output("log-query", "value"),
        Input("url", "search"),
        prevent_initial_call=True,
    )
    app.clientside_callback(ClientsideFunction("logs", "draw"), Input("log-rows", "data"))
    app.clientside_callback(ClientsideFunction("editor", "logql"), Input("log-labels", "data"))
    _register_rows(app, client)
    _register_facets(app, client)


def _register_rows(app: Any, client: ObsClient) -> None:
    @app.callback(
        Output("log-rows", "data"),
        Output(chart_id("volume"), "figure"),
        Output("log-note", "children"),
        Output("log-errors", "children"),
        Output("log-waiting", "children"),
        Output("log-more", "children"),
        Output("log-filters", "children"),
        Input("url", "search"),
        Input("tick", "n_intervals"),
        State("offset", "data"),
    )
    @threaded
    def show(search: str, _: int, offset_s: int) -> tuple[Any, ...]:
        view, span = View.parse(search), span_of(search, offset_s)
        chips = facets.chips(view)
        if log_query.is_metric_query(view.get("q")):
            return (*_numbers(client, view.get("q"), span), chips)
        return (*_records(client, view, span), chips)


def _records(client: ObsClient, view: View, span: TimeRange) -> tuple[Any, ...]:
    wanted = _wanted(view)
    try:
        query = client.loki.format(log_query.with_filters(view.get("q"), view.all("f")))
    except ClientError as e:
        return NO_ROWS, figures.blank("", span), "", failure(e), None, None
    width = next((s for s in STEPS_S if s >= span.span_s / BARS), STEPS_S[-1])
    first = int(-(-span.start_s // width) * width)
    answers = together(
        {
            "rows": lambda: client.loki.query_range(query, span.start_ns, span.end_ns, limit=wanted),
            "volume": lambda: client.loki.query_range(
                log_query.volume_query(query, width), first * 10**9, int(span.end_s + width) * 10**9, step_s=width
            ),
        }
    )
    found, volume = answers["rows"], answers["volume"]
    if isinstance(found, ClientError):
        return NO_ROWS, figures.blank("", span), "", failure(found), None, None
    rows = log_query.rows(found)
    figure, total = _volume(volume, width, span)
    notes = [note for note in found.notes if not note.startswith("limit of ")]
    note = " · ".join([_counted(len(rows), total), *notes])
    more = _more(view, wanted) if len(rows) >= wanted else None
    empty = _nothing(view) if not rows else None
    return {"rows": rows, "words": log_query.words_of(view.get("q"))}, figure, note, None, empty, more


def _volume(answer: QueryResult | ClientError, width: int, span: TimeRange) -> tuple[figures.Figure, float]:
    if isinstance(answer, ClientError):
        return figures.blank(str(answer).splitlines()[0][:120], span), 0.0
    times, levels = log_query.volumes(answer)
    if not times:
        return figures.blank("no records in this range", span), 0.0
    return figures.volume(levels, times, width, span), sum(sum(counts) for counts in levels.values())


def _numbers(client: ObsClient, query: str, span: TimeRange) -> tuple[Any, ...]:
    """A query that computes numbers is drawn where the volume stands."""
    span = span.aligned()
    try:
        answer = client.loki.query_range(query, span.start_ns, span.end_ns, step_s=span.step_s)
    except ClientError as e:
        return NO_ROWS, figures.blank("", span), "", failure(e), None, None
    series = matrix(answer)
    lines = figures.matrix_lines(series, span.step_s, short_names([s["metric"] for s in series], query))
    figure = figures.lines(lines, span) if lines else figures.blank("no data in this range", span)
    words = message("This query computes numbers", "They are drawn above; remove the function to see the records.")
    return NO_ROWS, figure, f"{len(series)} series", None, words, None


def _wanted(view: View) -> int:
    asked = view.get("rows")
    return min(int(asked), MOST_ROWS) if asked.isdigit() and asked != "0" else FIRST_ROWS


def _counted(shown: int, total: float) -> str:
    if total > shown:
        return f"{count(total)} records, the newest {shown} shown"
    return f"{shown} records" if shown != 1 else "1 record"


def _more(view: View, wanted: int) -> Any:
    if wanted >= MOST_ROWS:
        return html.Span(f"{MOST_ROWS} records shown; narrow the range or the search to see others", className="hint")
    return html.Button("Load more", className="button-link", **{"data-set": f"rows={wanted + MORE_ROWS}"})


def _nothing(view: View) -> Any:
    if view.get("q") or view.all("f"):
        return message("No record matches", "Try a longer time range, fewer words, or remove a filter.")
    text = (
        "The agent tails the usual files under /var/log, or those named with --logs; "
        "applications send OTLP to port 4317 (gRPC) or 4318 (HTTP)."
    )
    return message("No logs in this range", text)


def _register_facets(app: Any, client: ObsClient) -> None:
    @app.callback(
        Output("log-facets", "children"),
        Output("log-labels", "data"),
        Input("url", "search"),
        Input("tick", "n_intervals"),
        State("offset", "data"),
    )
    @threaded
    def show(search: str, _: int, offset_s: int) -> Any:
        view, span = View.parse(search), span_of(search, offset_s)
        if log_query.is_metric_query(view.get("q")):
            return None, no_update
        return facets.ask(client, view, span)
