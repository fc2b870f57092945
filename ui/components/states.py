"""What stands where data should: nothing found, an error, still loading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html

from obs.client import ClientError


def message(title: str, text: str, links: Sequence[tuple[str, str]] = (), icon: str = "empty") -> Any:
    """A calm notice in the middle: what is so, what to do."""
    anchors = [html.A(words, href=href, className="button-link") for words, href in links]
    return html.Div(
        [
            html.Span(className=f"icon icon-{icon} notice-icon"),
            html.Div(title, className="notice-title"),
            html.Div(text, className="notice-text"),
            html.Div(anchors, className="notice-links") if anchors else None,
        ],
        className="notice",
    )


def failure(error: ClientError) -> Any:
    """An error in the server's own words; carets keep their place."""
    return html.Div([html.Span(className="icon icon-alert"), html.Pre(str(error))], className="failure", role="alert")


def reason(what: str, why: str) -> Any:
    """Why a part of a query found nothing."""
    return html.Div([html.Code(what), ": ", why], className="hint reason")


def skeleton(height: int, rows: int = 1) -> Any:
    """A grey shape while data is on its way."""
    return html.Div([dmc.Skeleton(height=height, radius="sm", mb=8) for _ in range(rows)])
