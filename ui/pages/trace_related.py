"""What stands beside a trace: metrics of its containers, pods, services and hosts, as links, where there are any."""

from __future__ import annotations

import time
from typing import Any

from dash import Input, Output, html

from obs.client import ClientError, ObsClient, QueryResult
from obs.ui.asking import instants
from obs.ui.offload import threaded
from obs.ui.view import View, link

MOST = 24
"""Queries that are tried: a trace over many hosts has more, and nobody reads a longer row."""


def slot() -> Any:
    """Where the links come."""
    return html.Div(id="trace-related", className="trace-related")


def register(app: Any, client: ObsClient) -> None:
    """Add the callback."""

    @app.callback(Output("trace-related", "children"), Input("trace-id", "data"))
    @threaded
    def beside(trace_id: str) -> Any:
        try:
            found = client.traces.related(trace_id)
        except ClientError:  # the page says so itself
            return None
        return draw(client, found)


def draw(client: ObsClient, found: dict[str, Any]) -> Any:
    """The links, each to a query that answers."""
    metrics = {each["query"]: each["title"] for each in found["metrics"][:MOST]}
    at_s = min(found["endNs"] / 1e9, time.time())
    answers = instants(client, {query: query for query in metrics}, at_s)
    links = [(title, query) for query, title in metrics.items() if _answers(answers[query])]
    if not links:
        return None
    range_ = View({"from": (str(found["startNs"] // 10**9),), "to": (str(-(-found["endNs"] // 10**9)),)})
    shown = [html.A(title, href=_href(range_, query), className="button-link") for title, query in links]
    return [html.Span("Beside it:", className="hint"), *shown]


def _answers(answer: QueryResult | ClientError) -> bool:
    return isinstance(answer, QueryResult) and bool(answer.result)


def _href(range_: View, query: str) -> str:
    """Names of metrics are listed, all else is drawn."""
    listed = query.startswith("count by (__name__)")
    return link("/ui/metrics", range_, q=query, **({"view": "instant"} if listed else {}))
