"""Tiles: one figure each, large, with a word on what it is and a bar where it has a limit."""

from __future__ import annotations

from typing import Any

from dash import html

WARN, FULL = 0.75, 0.9


def tile(title: str, value: str, note: str = "", share: float | None = None, href: str | None = None) -> Any:
    """A tile; `share` (0 to 1) draws a bar that changes colour as it fills."""
    bar = None
    if share is not None:
        level = "full" if share >= FULL else "warn" if share >= WARN else "fine"
        width = f"{max(0.0, min(share, 1.0)) * 100:.1f}%"
        bar = html.Div(html.Div(className=f"meter-fill {level}", style={"width": width}), className="meter")
    inside = [
        html.Div(title, className="tile-title"),
        html.Div(value, className="tile-value"),
        html.Div(note or "\u00a0", className="tile-note"),
        bar,
    ]
    return html.A(inside, href=href, className="tile") if href else html.Div(inside, className="tile")
