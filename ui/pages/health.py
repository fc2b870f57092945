"""How obs itself is doing: what it takes in, what its stores hold, what is not yet ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from obs.client import ClientError, ObsClient, QueryResult
from obs.ui import figures
from obs.ui.asking import matrix
from obs.ui.components.states import failure
from obs.ui.figures import Figure
from obs.ui.palette import ERROR, color
from obs.ui.timerange import TimeRange
from obs.ui.units import BYTES, RATE, count, duration

SIGNALS = ("metrics", "logs", "traces")


def rate_queries(span: TimeRange) -> dict[str, str]:
    """Items a second by signal, and those dropped."""
    taken = {s: f'sum(rate(obs_stored_total{{signal="{s}"}}[{span.window}]))' for s in SIGNALS}
    return {**taken, "dropped": f"sum(rate(obs_dropped_total[{span.window}])) > 0"}


def rates(answers: Mapping[str, QueryResult | ClientError], span: TimeRange) -> Figure:
    """The chart of what is taken in."""
    shades = {**{s: color(i) for i, s in enumerate(SIGNALS)}, "dropped": ERROR}
    found = [(name, series) for name, answer in answers.items() for series in matrix(answer)]
    if not found:
        return figures.blank("no data in this range", span)
    drawn = figures.matrix_lines([s for _, s in found], span.step_s, [name for name, _ in found])
    lines = [figures.Line(line.name, line.times_s, line.values, shades[line.name]) for line in drawn]
    return figures.lines(lines, span, RATE)


def stores(client: ObsClient) -> Any:
    """The table of stores, and below it what else there is to know."""
    try:
        status = client.status()
    except ClientError as e:
        return failure(e)
    head = ("Store", "In memory", "In blocks", "Blocks", "On disk", "Covers", "State")
    numbers = ("", "num", "num", "num", "num", "num", "")
    rows = [_store(name, store) for name, store in status.get("stores", {}).items()]
    table = html.Table(
        [
            html.Thead(html.Tr([html.Th(h, className=c) for h, c in zip(head, numbers, strict=True)])),
            html.Tbody([html.Tr([html.Td(v, className=c) for v, c in zip(r, numbers, strict=True)]) for r in rows]),
        ],
        className="plain-table",
    )
    return [html.Div(table, className="scroll-x"), html.Div(_facts(status), className="facts")]


def _store(name: str, store: Mapping[str, Any]) -> list[Any]:
    recovering, oldest, newest = store.get("recovering"), store.get("min_ns"), store.get("max_ns")
    span = duration((newest - oldest) / 1e9) if oldest and newest else "–"
    state = "ready" if recovering is None else f"reading back {recovering:.0%}"
    return [
        name,
        count(store.get("items_head")),
        count(store.get("items_blocks")),
        count(store.get("blocks")),
        BYTES.text(store.get("bytes_disk")),
        span,
        html.Span(state, className="state state-ok" if recovering is None else "state state-pending"),
    ]


def _facts(status: Mapping[str, Any]) -> list[Any]:
    agent = status.get("agent") or {}
    facts = [f"obs {status.get('version', '')}", f"up {duration(float(status.get('uptime_s') or 0))}"]
    facts.append(f"agent runs (pid {agent['pid']})" if agent.get("pid") else "no agent of its own")
    if agent.get("restarts"):
        facts.append(f"agent restarted {agent['restarts']}×")
    dropped = sum(sum((entry.get("dropped") or {}).values()) for entry in status.get("ledger", []))
    facts.append(f"{count(dropped)} items dropped" if dropped else "nothing dropped")
    return [html.Span(fact) for fact in facts]
