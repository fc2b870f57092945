"""`obs query`: PromQL, at one moment or over a range."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from obs.cli.moments import duration_s, moment_s
from obs.cli.options import DEFAULT_SERVER, Output, OutputOption, Server, reads_answers
from obs.cli.output import labels_text, note, write_json, write_rows
from obs.client import ObsClient, QueryResult

DEFAULT_STEPS = 60

GRAPH_S = 3600.0
"""What a graph shows that nobody gave a start."""
BRACKETS = ("(]", "[)", "()", "[]")
"""Whether the lower and the upper bound belong to a bucket, by the number that the API gives."""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="query", help="Run a PromQL query.")(reads_answers(query))


def query(
    promql: Annotated[str, typer.Argument(help="The query.")],
    start: Annotated[str, typer.Option(help="Evaluate over a range from here: `-1h`, RFC 3339, unix seconds.")] = "",
    end: Annotated[str, typer.Option(help="Until here.")] = "now",
    step: Annotated[str, typer.Option(help="Between two points of a range (default: a sixtieth of it).")] = "",
    at: Annotated[str, typer.Option("--time", help="The moment of an instant query.")] = "now",
    why: Annotated[bool, typer.Option("--why", help="Say why a result is empty.")] = False,
    graph: Annotated[
        bool, typer.Option("--graph", help="Draw a range in the terminal: the last hour, or from --start.")
    ] = False,
    output: OutputOption = Output.TABLE,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Run the query and write its result."""
    prometheus = ObsClient(server).prometheus
    if graph and not start:
        note("drawing one hour; --start names another beginning")
    times = times_of(start, end, step, at, graph)
    if "step_s" in times:
        result = prometheus.query_range(promql, **times)
    else:
        result = prometheus.query(promql, **times)
    for text in result.notes:
        note(text)
    if not result.result and why:
        for reason in prometheus.query_why(promql, **times):
            note(f"{reason['line']}:{reason['column']} {reason['expression']}: {reason['text']}")
    elif not result.result:
        note("no data; --why says why")
    if graph and result.kind == "matrix" and any("values" in each for each in result.result):
        draw(result, promql)
    elif output is Output.JSON:
        write_json({"resultType": result.kind, "result": result.result})
    elif result.result or output is Output.CSV:
        write_rows(("series", "time", "value"), rows(result), output)


def times_of(start: str, end: str, step: str, at: str, graph: bool) -> dict[str, float]:
    """The times of a range, or the time of an instant query, as the client names them; a graph always has a range."""
    if not start and not graph:
        return {"time_s": moment_s(at)}
    end_s = moment_s(end if start or end != "now" else at)
    start_s = moment_s(start) if start else end_s - GRAPH_S
    step_s = duration_s(step) if step else max((end_s - start_s) / DEFAULT_STEPS, 1.0)
    return {"start_s": start_s, "end_s": end_s, "step_s": step_s}


def rows(result: QueryResult) -> list[tuple[str, str, str]]:
    """A result as (series, time, value) lines."""
    if result.kind in ("scalar", "string"):
        return [("", _time(result.result[0]), result.result[1])]
    found: list[tuple[str, str, str]] = []
    for element in result.result:
        name = labels_text(element["metric"])
        found += [(name, _time(t), value) for t, value in _points(element, "value")]
        found += [(name, _time(t), _histogram_text(value)) for t, value in _points(element, "histogram")]
    return found


def _points(element: Mapping[str, Any], kind: str) -> list[Any]:
    """What a series has of a kind, at one moment or several."""
    return element.get(f"{kind}s") or ([element[kind]] if kind in element else [])


def _histogram_text(histogram: Mapping[str, Any]) -> str:
    """A native histogram as `promtool` writes it; a bucket's first number says which of its bounds belong to it."""
    buckets = histogram.get("buckets", ())
    parts = [f"{BRACKETS[rule][0]}{low},{high}{BRACKETS[rule][1]}:{count}" for rule, low, high, count in buckets]
    return "{" + ", ".join([f"count:{histogram['count']}", f"sum:{histogram['sum']}", *parts]) + "}"


def draw(result: QueryResult, title: str) -> None:
    """A range as lines in the terminal."""
    import plotext

    figure = plotext.figure
    figure.theme("simple")
    figure.date("x").activate(form="%H:%M")
    for element in [each for each in result.result if "values" in each][:10]:
        times, values = ([float(pair[i]) for pair in element["values"]] for i in (0, 1))
        line = figure.signal(times, values)
        line.label(labels_text(element["metric"])[:60])
        line.lines()
        figure.draw(line)
    figure.title(title)
    figure.show(colorless=not sys.stdout.isatty() or "NO_COLOR" in os.environ)


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(float(seconds), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):  # past what a calendar holds
        return str(float(seconds))
