"""Panels: a titled box, and one that holds a chart."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from obs.ui.figures import Figure

CHART_CONFIG = {"displayModeBar": False, "responsive": True, "doubleClick": False, "showTips": False}


def panel(title: str | None, *children: Any, aside: Any = None, class_name: str = "", id: str | None = None) -> Any:
    """A box with a heading and, to its right, something small."""
    head = html.Div([html.H2(title), html.Div(aside, className="panel-aside")], className="panel-head")
    options = {"id": id} if id else {}
    return html.Section([head if title else None, *children], className=f"panel {class_name}".strip(), **options)


def chart(id: str, height: int = 200, figure: Figure | None = None) -> Any:
    """A chart; dragging across it narrows the page's time range."""
    return html.Div(
        dcc.Graph(
            id={"type": "chart", "index": id}, figure=figure or {}, config=CHART_CONFIG, style={"height": "100%"}
        ),
        className="chart",
        style={"height": height},
    )


def chart_id(id: str) -> dict[str, str]:
    """The id callbacks know a chart by."""
    return {"type": "chart", "index": id}
