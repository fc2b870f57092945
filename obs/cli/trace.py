"""`obs trace`: one trace as a tree with a bar per span; its other verbs are in `trace_analysis`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from obs.cli import trace_analysis
from obs.cli.options import DEFAULT_SERVER, Output, OutputOption, Server, reads_answers
from obs.cli.output import note, write_json, write_rows
from obs.client import ObsClient

BAR = 40
SHOW = "show"


class _IdIsShow(TyperGroup):
    """`obs trace <id>` is `obs trace show <id>`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = next((a for a in args if not a.startswith("-")), None)
        if first is not None and first not in self.commands:
            args = [SHOW, *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the verb and those below it."""
    group = typer.Typer(cls=_IdIsShow, no_args_is_help=True, help="Show one trace (by its id), or analyse many.")
    group.command(name=SHOW, help="Show one trace; `obs trace ID` for short.")(reads_answers(trace))
    trace_analysis.register(group)
    app.add_typer(group, name="trace")


def trace(
    trace_id: Annotated[str, typer.Argument(help="The trace's id, 16 or 32 hex digits.")],
    output: OutputOption = Output.TABLE,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Write the trace."""
    found = ObsClient(server).traces.trace(trace_id)
    if output is Output.JSON:
        write_json(found)
        return
    for warning in found.get("warnings", ()):
        note(str(warning))
    spans: list[dict[str, Any]] = found["spans"]
    columns = ["service", "span", "start ms", "ms", "self ms", "critical ms", "status", "span id"]
    if output is Output.TABLE:
        columns.append("")
    first = min(map(_start, spans))
    whole = max(max(_start(s) + s["durationNs"] for s in spans) - first, 1)
    write_rows(columns, [_row(s, first, whole, output) for s in spans], output)


def _row(span: dict[str, Any], first: int, whole: int, output: Output) -> tuple[Any, ...]:
    start, length = _start(span) - first, span["durationNs"]
    row = (
        span.get("service", ""),
        "  " * span.get("depth", 0) + span["name"],
        round(start / 1e6, 3),
        round(length / 1e6, 3),
        round(span.get("selfNs", 0) / 1e6, 3),
        round(span.get("criticalNs", 0) / 1e6, 3),
        _status(span),
        span["spanId"],
    )
    if output is not Output.TABLE:
        return row
    left = min(start * BAR // whole, BAR - 1)
    return (*row, " " * left + "█" * max(1, min(BAR - left, round(length * BAR / whole))))


def _start(span: dict[str, Any]) -> int:
    """By its parent's clock, where its own disagrees."""
    return int(span["startNs"]) + int(span.get("skewNs", 0))


def _status(span: dict[str, Any]) -> str:
    status = span.get("status", "")
    return str(status.get("code", "") if isinstance(status, dict) else status)
