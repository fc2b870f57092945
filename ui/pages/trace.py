"""One trace: its figures, its waterfall, and the span chosen in it."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Input, Output, State, dcc, html

from obs.client import ClientError, ObsClient
from obs.ui.components.panel import panel
from obs.ui.components.states import failure, message, skeleton
from obs.ui.offload import threaded
from obs.ui.pages import span_detail, trace_related
from obs.ui.palette import color
from obs.ui.tracing import Row, Span, bounds, services, spans_of, waterfall
from obs.ui.units import duration
from obs.ui.view import View


def layout(view: View, trace_id: str) -> Any:
    """The page before its data is there."""
    return html.Div(
        [
            html.H1("Trace", className="sr-only"),
            dcc.Store(id="trace-id", data=trace_id),
            dcc.Store(id="waterfall-rows"),
            dcc.Store(id="chosen-span", data=view.get("span")),
            panel(None, html.Div(skeleton(44), id="trace-head"), trace_related.slot()),
            html.Div(
                [
                    panel(None, html.Div(id="waterfall", className="waterfall"), class_name="waterfall-panel"),
                    panel(None, html.Div(skeleton(20, 8), id="span-detail"), class_name="span-panel"),
                ],
                className="with-detail",
                id="trace-body",
            ),
        ],
        className="page",
    )


def register(app: Any, client: ObsClient) -> None:
    """Add the page's callbacks."""
    trace_related.register(app, client)
    app.clientside_callback(ClientsideFunction("traces", "draw"), Input("waterfall-rows", "data"))
    app.clientside_callback(
        ClientsideFunction("traces", "chosen"), Output("chosen-span", "data"), Input("url", "search"),
        prevent_initial_call=True,
    )  # fmt: skip

    @app.callback(
        Output("trace-head", "children"),
        Output("waterfall-rows", "data"),
        Output("trace-body", "className"),
        Input("trace-id", "data"),
        Input("tick", "n_intervals"),
    )
    @threaded
    def show(trace_id: str, _: int) -> tuple[Any, Any, str]:
        try:
            found = client.traces.trace(trace_id)
        except ClientError as e:
            return _absent(trace_id, e), None, "hidden"
        spans = spans_of(found)
        if not spans:
            return _absent(trace_id, ClientError("", 404)), None, "hidden"
        shades = {name: color(i) for i, name in enumerate(services(spans))}
        notes = [html.Div(text, className="hint") for text in found.get("warnings", ())]
        return [*_head(trace_id, spans, shades), *notes], drawn(waterfall(spans), spans, shades), "with-detail"

    @app.callback(
        Output("span-detail", "children"),
        Input("chosen-span", "data"),
        Input("trace-id", "data"),
        State("url", "search"),
    )
    @threaded
    def detail(chosen: str, trace_id: str, search: str) -> Any:
        try:
            spans = spans_of(client.traces.trace(trace_id))
        except ClientError:
            return None
        rows = waterfall(spans)
        row = next((r for r in rows if r.span.id == chosen), rows[0] if rows else None)
        return span_detail.draw(trace_id, row, bounds(spans)) if row else None


def drawn(rows: list[Row], spans: list[Span], shades: dict[str, str]) -> dict[str, Any]:
    """What the page's script draws the waterfall from."""
    start, end = bounds(spans)
    return {
        "whole_s": (end - start) / 1e9,
        "rows": [
            {
                "id": r.span.id, "name": r.span.name, "service": r.span.service, "depth": r.span.depth,
                "children": r.children, "left": r.left, "width": r.width, "took": r.span.duration_s,
                "self": r.span.self_s, "failed": r.span.failed, "orphan": r.orphan, "color": shades[r.span.service],
            }
            for r in rows
        ],
    }  # fmt: skip


def _head(trace_id: str, spans: list[Span], shades: dict[str, str]) -> Any:
    root, (start, end) = spans[0], bounds(spans)
    failed = sum(s.failed for s in spans)
    facts = [
        html.Span(className="moment", **{"data-ns": str(start)}),
        html.Span(duration((end - start) / 1e9), className="fact-strong"),
        html.Span(f"{len(spans)} span{'s' if len(spans) != 1 else ''}"),
        html.Span(f"{failed} with errors", className="bad") if failed else None,
        html.Span(trace_id, className="mono"),
        html.A("Logs of this trace", href=span_detail.logs_link(trace_id, None, start, end), className="button-link"),
    ]
    legend = [
        html.Span([html.Span(className="swatch", style={"background": shades[name]}), f"{name or '(no service)'} ",
                   html.Span(f"{count} · {duration(own)}", className="hint")])
        for name, (count, own) in services(spans).items()
    ]  # fmt: skip
    return [
        html.Div(f"{root.service}: {root.name}" if root.service else root.name, className="trace-title"),
        html.Div(facts, className="trace-facts"),
        html.Div(legend, className="trace-legend"),
    ]


def _absent(trace_id: str, error: ClientError) -> Any:
    if error.status != 404:
        return failure(error)
    text = "It may be older than the retention, not sampled, or still on its way: spans are sent when they end."
    return message(f"Trace {trace_id} is not here", text, [("Search for traces", "/ui/traces")])
