"""Traces: search, durations over time, and the traces found, in an order that holds over the whole range."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, html

from obs.client import ClientError, ObsClient
from obs.ui import figures
from obs.ui.asking import span_of
from obs.ui.components import url_form
from obs.ui.components.grid import fitted, grid, linked, number, text, time
from obs.ui.components.panel import chart, chart_id, panel
from obs.ui.components.states import failure, message
from obs.ui.offload import threaded
from obs.ui.timerange import TimeRange
from obs.ui.view import View, link

ORDERS = (
    ("newest", "Newest"),
    ("longest", "Longest"),
    ("shortest", "Shortest"),
    ("spans", "Most spans"),
    ("errors", "Most errors"),
)
LIMITS = ("100", "500", "2000")
FIELDS = {
    "service": ("trace-service", ""),
    "operation": ("trace-operation", ""),
    "tags": ("trace-tags", ""),
    "min": ("trace-min", ""),
    "max": ("trace-max", ""),
    "status": ("trace-status", "all"),
    "order": ("trace-order", "newest"),
    "limit": ("trace-limit", LIMITS[0]),
}
COLUMNS = [
    time("startNs", "Start", width=180),
    linked(text("root", "Root", flex=3, minWidth=220), "href"),
    {**number("duration", "Duration", "seconds", width=150), "cellRenderer": "ObsBar"},
    number("spans", "Spans", "count", width=84),
    {**number("errors", "Errors", "count", width=84), "cellClassRules": {"bad": "params.value > 0"}},
    text("services", "Services", flex=2, minWidth=140),
    text("traceId", "Trace id", flex=0, width=130, cellClass="mono"),
]


def layout(view: View, _: str) -> Any:
    """The page before its data is there."""
    return html.Div(
        [
            html.H1("Traces", className="sr-only"),
            panel(None, _form(view), html.Div(id="trace-errors")),
            panel(None, chart("durations", 190), html.Div(id="trace-note", className="hint")),
            panel(
                None,
                grid("traces", COLUMNS, height=300, empty="No traces", row_id="traceId"),
                html.Div(id="trace-empty"),
                id="trace-table",
            ),
        ],
        className="page",
    )


def _form(view: View) -> Any:
    def choice(name: str, label: str, data: list[Any], **options: Any) -> Any:
        id, default = FIELDS[name]
        return dmc.Select(
            id=id, label=label, data=data, value=view.get(name, default) or None, size="xs",
            **{"clearable": True, **options},
        )  # fmt: skip

    def words(name: str, label: str, placeholder: str, **options: Any) -> Any:
        id, default = FIELDS[name]
        return dmc.TextInput(
            id=id, label=label, value=view.get(name, default), placeholder=placeholder, size="xs", **options
        )

    return html.Div(
        [
            choice("service", "Service", _known(view, "service"), searchable=True, placeholder="any", w=150),
            choice("operation", "Operation", _known(view, "operation"), searchable=True, placeholder="any", w=160),
            html.Div(words("tags", "Attributes or TraceQL", "http.route=/cart user.id=17"), className="grow"),
            words("min", "Longer than", "100ms", w=84),
            words("max", "Shorter than", "5s", w=84),
            choice("status", "Status", [{"value": "all", "label": "any"}, {"value": "error", "label": "error"}], w=84,
                   clearable=False),
            choice("order", "Order", [{"value": v, "label": name} for v, name in ORDERS], w=104, clearable=False),
            choice("limit", "At most", list(LIMITS), w=76, clearable=False),
            dmc.Button("Find", id="find-traces", size="xs", leftSection=html.Span(className="icon icon-search")),
        ],
        className="trace-form",
    )  # fmt: skip


def _known(view: View, name: str) -> list[str]:
    return [view.get(name)] if view.get(name) else []


def register(app: Any, client: ObsClient) -> None:
    """Add the page's callbacks."""
    url_form.bind(
        app, FIELDS, "find-traces", instant=("service", "operation", "status", "order", "limit"),
        enter=("trace-tags", "trace-min", "trace-max"),
    )  # fmt: skip
    app.clientside_callback(
        """function (click) {
            if (click) obs.go(obs.traceLink(click.points[0].customdata));
            return dash_clientside.no_update;
        }""",
        Input(chart_id("durations"), "clickData"),
        prevent_initial_call=True,
    )
    _register_choices(app, client)
    _register_results(app, client)


def _register_choices(app: Any, client: ObsClient) -> None:
    @app.callback(Output("trace-service", "data"), Input("url", "pathname"), State("url", "search"))
    @threaded
    def services(_: str, search: str) -> list[str]:
        return _or_known(client.traces.services, View.parse(search), "service")

    @app.callback(Output("trace-operation", "data"), Input("trace-service", "value"), State("url", "search"))
    @threaded
    def operations(service: str | None, search: str) -> list[str]:
        if not service:
            return []
        return _or_known(lambda: client.traces.operations(service), View.parse(search), "operation")


def _or_known(ask: Any, view: View, name: str) -> list[str]:
    try:
        return sorted({*ask(), *_known(view, name)})
    except ClientError:
        return _known(view, name)


def _register_results(app: Any, client: ObsClient) -> None:
    @app.callback(
        Output(chart_id("durations"), "figure"),
        Output("traces", "rowData"),
        Output("traces", "style"),
        Output("trace-empty", "children"),
        Output("trace-errors", "children"),
        Output("trace-note", "children"),
        Input("url", "search"),
        Input("tick", "n_intervals"),
        State("offset", "data"),
    )
    @threaded
    def show(search: str, _: int, offset_s: int) -> tuple[Any, ...]:
        view, span = View.parse(search), span_of(search, offset_s)
        hidden = {"display": "none"}
        try:
            answer = find(client, view, span)
        except (ClientError, ValueError) as e:
            error = e if isinstance(e, ClientError) else ClientError(str(e))
            return figures.blank("", span), [], hidden, None, failure(error), ""
        traces, waits = answer["traces"], " · ".join(answer.get("warnings", ()))
        if not traces:
            return figures.blank("no traces in this range", span), [], hidden, _nothing(view), None, waits
        rows = [table_row(trace, view) for trace in traces]
        longest = max(row["duration"] for row in rows)
        figure, note = figures.durations([_dot(t) for t in traces], span), _note(traces, view, waits)
        return figure, [{**r, "of": longest} for r in rows], fitted(len(rows), 18), None, None, note


def find(client: ObsClient, view: View, span: TimeRange) -> dict[str, Any]:
    """The summaries a view asks for, and what was not searched.

    Raises: ClientError, ValueError where the attributes cannot be read.
    """
    text = view.get("tags").strip()
    traceql = text if is_traceql(text) else None
    limit = view.get("limit", LIMITS[0])
    return client.traces.found(
        service=view.get("service") or None,
        operation=view.get("operation") or None,
        tags=None if traceql else parse_tags(text),
        traceql=traceql,
        status="error" if view.get("status") == "error" else None,
        min_duration=view.get("min") or None,
        max_duration=view.get("max") or None,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        order=view.get("order", "newest"),
        limit=int(limit) if limit in LIMITS else int(LIMITS[0]),
    )


def is_traceql(text: str) -> bool:
    """Whether text in the field of attributes is TraceQL, which begins with a filter or with one in parentheses."""
    return text.startswith(("{", "("))


def parse_tags(text: str) -> dict[str, str]:
    """`a=b c="d e"` as pairs. Raises: ValueError."""
    tags: dict[str, str] = {}
    rest = text.strip()
    while rest:
        found = re.match(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|\S*)\s*', rest)
        if not found:
            raise ValueError(f'cannot read attributes at {rest[:40]!r}: write them as name=value or name="two words"')
        value = found[2]
        tags[found[1]] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        rest = rest[found.end() :]
    return tags


def table_row(trace: Mapping[str, Any], view: View) -> dict[str, Any]:
    """A trace in the table."""
    services = [s for s in trace.get("services") or () if s]
    return {
        "traceId": trace["traceId"],
        "startNs": str(trace["startNs"]),
        "root": _root(trace) or "(its root is not here)",
        "duration": trace["durationNs"] / 1e9,
        "spans": trace.get("spans", 0),
        "errors": trace.get("errors", 0),
        "services": ", ".join(services),
        "href": link(f"/ui/traces/{trace['traceId']}", view),
    }


def _dot(trace: Mapping[str, Any]) -> figures.Dot:
    start_s, took_s = trace["startNs"] / 1e9, trace["durationNs"] / 1e9
    return figures.Dot(
        trace["traceId"], start_s, took_s, _root(trace), trace.get("spans", 0), bool(trace.get("errors"))
    )


def _root(trace: Mapping[str, Any]) -> str:
    return " ".join(part for part in (trace.get("rootService"), trace.get("rootName")) if part)


def _note(found: list[dict[str, Any]], view: View, waits: str) -> str:
    failed = sum(1 for trace in found if trace.get("errors"))
    limit = view.get("limit", LIMITS[0])
    order = dict(ORDERS).get(view.get("order", "newest"), "").lower()
    many = f"{len(found)} traces" + (f", {order} first; there may be more" if str(len(found)) == limit else "")
    return f"{many} · {failed} with errors · click a dot to open its trace" + (f" · {waits}" if waits else "")


def _nothing(view: View) -> Any:
    if any(view.get(name) for name in FIELDS if name not in ("order", "limit")):
        return message("No trace matches", "Try a longer time range, or take a condition away.")
    text = "Point an OpenTelemetry SDK here: OTLP on port 4317 (gRPC) or 4318 (HTTP). `obs demo` runs a small shop."
    return message("No traces in this range", text)
