"""Alerts: what fires now, and every rule with its state."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dash import Input, Output, State, html

from obs.client import ClientError, ObsClient
from obs.ui.asking import together
from obs.ui.components.panel import panel
from obs.ui.components.states import failure, message, skeleton
from obs.ui.naming import quoted
from obs.ui.offload import threaded
from obs.ui.units import duration
from obs.ui.view import View, link

STATES = ("firing", "pending", "inactive")
EXAMPLE = """# obs.yml
rule_files: [rules/*.yml]

# rules/node.yml
groups:
  - name: node
    rules:
      - alert: DiskFilling
        expr: 1 - node_filesystem_avail_bytes / node_filesystem_size_bytes > 0.9
        for: 5m
        annotations: {summary: "{{ $labels.mountpoint }} is nearly full"}"""
"""What a first rule takes, as shown where there is none."""


def layout(view: View, _: str) -> Any:
    """The page before its data is there."""
    return html.Div(
        [
            html.H1("Alerts", className="sr-only"),
            html.Div(skeleton(60, 2), id="active-alerts", className="stack"),
            panel("Rules", html.Div(skeleton(26, 5), id="rules")),
        ],
        className="page",
    )


def register(app: Any, client: ObsClient) -> None:
    """Add the page's callbacks."""

    @app.callback(
        Output("active-alerts", "children"),
        Output("rules", "children"),
        Input("url", "pathname"),
        Input("tick", "n_intervals"),
        State("url", "search"),
    )
    @threaded
    def show(_: str, __: int, search: str) -> tuple[Any, Any]:
        answers = together({"rules": client.prometheus.rules, "held": client.notified_alerts})
        groups, held = answers["rules"], answers["held"]
        if isinstance(groups, ClientError):
            return failure(groups), None
        receivers = {} if isinstance(held, ClientError) else receivers_of(held)
        now_s = time.time()
        return _active(groups, receivers, now_s), _rules(groups, View.parse(search), now_s)


def receivers_of(held: Sequence[Mapping[str, Any]]) -> dict[frozenset[tuple[str, str]], list[str]]:
    """Who is told of each alert, by its labels."""
    return {frozenset(a["labels"].items()): [r["name"] for r in a.get("receivers", ())] for a in held}


def active_of(groups: Sequence[Mapping[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(alert, its rule) of all that fires or is about to, firing ones first, the newest first."""
    found = [(alert, rule) for group in groups for rule in group["rules"] for alert in rule.get("alerts", ())]
    newest = sorted(found, key=lambda pair: pair[0].get("activeAt", ""), reverse=True)
    return sorted(newest, key=lambda pair: pair[0].get("state") != "firing")


def _active(groups: Sequence[Mapping[str, Any]], receivers: Mapping[Any, list[str]], now_s: float) -> list[Any]:
    found = active_of(groups)
    if not found and any(rule["type"] == "alerting" for group in groups for rule in group["rules"]):
        return [panel(None, message("All is calm", "No alert is pending or firing.", icon="calm"))]
    return [_card(alert, rule, receivers, now_s) for alert, rule in found]


def _card(alert: Mapping[str, Any], rule: Mapping[str, Any], receivers: Mapping[Any, list[str]], now_s: float) -> Any:
    labels, notes = dict(alert["labels"]), dict(alert.get("annotations") or {})
    name, state = labels.pop("alertname", rule["name"]), alert["state"]
    told = receivers.get(frozenset(alert["labels"].items()))
    summary = notes.pop("summary", None) or notes.pop("description", "")
    since = f"{state} for {_ago(alert.get('activeAt'), now_s)}, value {_value(alert.get('value'))}"
    rest = [html.Div([html.Span(f"{k}: ", className="hint"), v]) for k, v in notes.items() if k != "runbook_url"]
    return html.Section(
        [
            html.Div(
                [
                    html.Span(state, className=f"state state-{state}"),
                    html.B(name),
                    html.Span(since, className="hint"),
                    html.Span(className="spring"),
                    html.Span("told: " + ", ".join(told), className="hint") if told else None,
                ],
                className="alert-head",
            ),
            html.Div(summary, className="alert-summary") if summary else None,
            *rest,
            html.Div(
                [*[_label(k, v) for k, v in labels.items()], html.Span(className="spring"), *_links(name, rule, notes)],
                className="alert-foot",
            ),
        ],
        className=f"panel alert-card alert-{state}",
    )


def _label(name: str, value: str) -> Any:
    return html.Span([html.Span(f"{name}=", className="hint"), value], className="label-chip")


def _links(name: str, rule: Mapping[str, Any], notes: Mapping[str, str]) -> list[Any]:
    history = link("/ui/metrics", q=f"ALERTS{{alertname={quoted(name)}}}", from_="now-24h")
    found = [html.A("Graph", href=link("/ui/metrics", q=rule["query"])), html.A("History", href=history)]
    if notes.get("runbook_url", "").startswith(("http://", "https://")):
        found.append(html.A("Runbook", href=notes["runbook_url"], target="_blank", rel="noreferrer"))
    return found


def _rules(groups: Sequence[Mapping[str, Any]], view: View, now_s: float) -> Any:
    if not any(group["rules"] for group in groups):
        text = "Write Prometheus rules into a file, name it in a configuration, and start with: obs up --config obs.yml"
        return [message("No rules are loaded", text), html.Pre(EXAMPLE, className="example")]
    head = ("State", "Rule", "Expression", "For", "Last run", "Took")
    rows = [row for group in groups for row in _group_rows(group, view, now_s)]
    table = html.Table(
        [html.Thead(html.Tr([html.Th(h) for h in head])), html.Tbody(rows)], className="plain-table rules"
    )
    return html.Div(table, className="scroll-x")


def _group_rows(group: Mapping[str, Any], view: View, now_s: float) -> list[Any]:
    title = [
        html.B(group["name"]),
        html.Span(f" every {duration(float(group['interval']))} · {group['file']}", className="hint"),
    ]
    ordered = sorted(
        group["rules"], key=lambda r: STATES.index(r["state"]) if r.get("state") in STATES else len(STATES)
    )
    return [html.Tr(html.Td(title, colSpan=6), className="group-row"), *(_rule_row(r, view, now_s) for r in ordered)]


def _rule_row(rule: Mapping[str, Any], view: View, now_s: float) -> Any:
    state = "error" if rule.get("health") == "err" else rule.get("state") or "recording"
    name = [html.Div(rule["name"])]
    if rule.get("lastError"):
        name.append(html.Div(rule["lastError"], className="bad rule-error"))
    pending = float(rule.get("duration") or 0)
    return html.Tr(
        [
            html.Td(html.Span(state, className=f"state state-{state}")),
            html.Td(name),
            html.Td(html.A(rule["query"], href=link("/ui/metrics", view, q=rule["query"]), className="mono")),
            html.Td(duration(pending) if pending else "", className="nowrap"),
            html.Td(f"{_ago(rule.get('lastEvaluation'), now_s)} ago", className="nowrap"),
            html.Td(duration(float(rule.get("evaluationTime") or 0)), className="nowrap"),
        ]
    )


def _ago(moment: str | None, now_s: float) -> str:
    """How long since an RFC 3339 time; "–" where there was none."""
    try:
        then = datetime.fromisoformat((moment or "").replace("Z", "+00:00")).timestamp()
    except ValueError:
        return "–"
    return duration(float(round(max(now_s - then, 0)))) if then > 0 else "–"


def _value(text: str | None) -> str:
    try:
        return f"{float(text or ''):.4g}"
    except ValueError:
        return text or "–"
