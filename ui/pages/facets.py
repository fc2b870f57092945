"""Facets of logs: values of a few labels with their counts, to narrow a search by, and the chips of those chosen."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from dash import html

from obs.client import ClientError, ObsClient, QueryResult
from obs.ui import log_query
from obs.ui.asking import together
from obs.ui.log_query import LEVEL
from obs.ui.timerange import TimeRange
from obs.ui.units import count
from obs.ui.view import View

PREFERRED = ("service_name", "service_namespace", "host_name", "k8s_namespace_name", "k8s_pod_name", "container_name",
             "deployment_environment")  # fmt: skip
FACETS_MAX = 4
"""Each is a query over the whole range."""
NAMES = {LEVEL: "level", "service_name": "service", "host_name": "host"}


def ask(client: ObsClient, view: View, span: TimeRange) -> tuple[Any, list[str]]:
    """The side column, and all names of labels for completion."""
    try:
        labels = client.loki.labels(span.start_ns, span.end_ns)
        query = client.loki.format(log_query.with_filters(view.get("q"), view.all("f")))
    except ClientError:
        return None, []
    chosen = [LEVEL, *sorted(labels, key=_rank)[: FACETS_MAX - 1]]
    answers = together({label: _question(client, query, label, span) for label in chosen})
    groups = [_group(label, answer, view) for label, answer in answers.items() if isinstance(answer, QueryResult)]
    return [g for g in groups if g is not None], [*labels, LEVEL, "trace_id", "span_id"]


def _rank(label: str) -> tuple[int, str]:
    return (PREFERRED.index(label) if label in PREFERRED else len(PREFERRED), label)


def _question(client: ObsClient, query: str, label: str, span: TimeRange) -> Any:
    text = log_query.facet_query(query, label, int(span.span_s))
    return lambda: client.loki.query(text, span.end_ns)


def _group(label: str, answer: QueryResult, view: View) -> Any:
    found = log_query.facet(answer, label)
    if not found:
        return None
    most = found[0][1]
    rows = [_value(label, value, number, most, view) for value, number in found]
    return html.Div([html.Div(NAMES.get(label, label), className="facet-name"), *rows], className="facet")


def _value(label: str, value: str, number: int, most: int, view: View) -> Any:
    chosen = f"{label}={value}" in view.all("f")
    return html.Button(
        [
            html.Span(className="facet-bar", style={"width": f"{100 * number / max(most, 1):.0f}%"}),
            html.Span(value, className=f"facet-value level-{value}" if label == LEVEL else "facet-value", title=value),
            html.Span(count(number), className="facet-count"),
        ],
        className="facet-row chosen" if chosen else "facet-row",
        title="Remove this filter" if chosen else f"Only {value}",
        **{"data-toggle": urlencode({"f": f"{label}={value}"})},
    )


def chips(view: View) -> Any:
    """The filters in force; a click removes one."""
    return [
        html.Button(
            [html.Span(chosen), html.Span(className="icon icon-close")],
            className="chip",
            title="Remove this filter",
            **{"data-toggle": urlencode({"f": chosen})},
        )
        for chosen in view.all("f")
    ]
