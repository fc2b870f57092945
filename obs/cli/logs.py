"""`obs logs`: LogQL over stored records, or following new ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from obs.cli.following import Record, of_stream, records
from obs.cli.following import follow as follow_records
from obs.cli.moments import moment_s
from obs.cli.options import DEFAULT_SERVER, End, Output, OutputOption, Server, Start, reads_answers
from obs.cli.output import labels_text, note, write_json, write_rows
from obs.client import ObsClient, QueryResult
from obs.errors import UserError

MOST_S = 9.2e9
"""Nanoseconds since 1970 in 64 bits end here."""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="logs", help="Search log records with LogQL, or any text.")(reads_answers(logs))


def logs(
    logql: Annotated[str, typer.Argument(help='The query: `{service_name="cart"} |= "timeout"`, or plain words.')],
    start: Start = "-1h",
    end: End = "now",
    limit: Annotated[int, typer.Option(help="At most this many records.")] = 100,
    oldest: Annotated[bool, typer.Option("--oldest", help="The oldest records of the time, not the newest.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All records, a page of --limit at a time.")] = False,
    context: Annotated[int, typer.Option("--context", "-C", help="Lines of its stream around each record.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new records as they arrive.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Write how the query would run.")] = False,
    output: OutputOption = Output.TABLE,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Write the records, oldest first; a metric query's result as a table."""
    client = ObsClient(server)
    if explain:
        print(client.loki.explain(logql))
        return
    start_ns, end_ns = _ns(start), _ns(end)
    lines = _Lines(output)
    if follow:
        for new in follow_records(client, logql, start_ns, limit):
            lines.write(new)
        return
    for found in _pages(client, logql, (start_ns, end_ns + 1), limit, oldest or everything, everything):
        if found.kind != "streams":
            _write_metric(found, output)
        elif context:
            _write_around(client, logql, records(found, oldest or everything), context, lines)
        else:
            lines.write(records(found, oldest or everything))
        if found.next is not None and not everything:
            kind = "newer" if oldest else "older"
            note(f"only {limit} records: {kind} ones match too; --limit N shows more, --all all of them")


def _pages(
    client: ObsClient, logql: str, span: tuple[int, int], limit: int, forward: bool, everything: bool
) -> Iterator[QueryResult]:
    """The first page of the answer, or every one."""
    after: str | None = None
    while True:
        direction = "forward" if forward else "backward"
        found = client.loki.query_range(logql, *span, limit=limit, direction=direction, after=after)
        yield found
        after = found.next
        if after is None or not everything:
            return


def _write_around(client: ObsClient, logql: str, found: list[Record], count: int, lines: _Lines) -> None:
    """Each record between those of its stream, as grep -C shows them; the record's own line is marked."""
    for i, (t, line, _) in enumerate(found):
        around, position = client.loki.context(logql, t, line, count, count)
        if i and lines.output is Output.TABLE:
            print("--")
        lines.write([r for stream in around.result for r in of_stream(stream)], position)


@dataclass(slots=True)
class _Lines:
    """Writes records part by part; `headed`: the names of columns are written."""

    output: Output
    headed: bool = False

    def write(self, found: list[Record], marked: int | None = None) -> None:
        """One part; a record of it may be marked."""
        if self.output is Output.JSON:
            for i, (t, line, labels) in enumerate(found):
                match = {"match": True} if i == marked else {}
                write_json({"time": _time(t), "line": line, "labels": labels, **match})
        elif self.output is Output.CSV:
            rows = [(_time(t), line, labels) for t, line, labels in found]
            write_rows(("time", "line", "labels"), rows, self.output, self.headed)
            self.headed = True
        else:
            for i, record in enumerate(found):
                _print("" if marked is None else "> " if i == marked else "  ", record)


def _print(mark: str, record: Record) -> None:
    t, line, labels = record
    source = labels.get("service_name") or labels.get("log_file_name") or ""
    print(mark + _time(t), labels.get("detected_level", "").upper().ljust(5), source, line, sep="  ", flush=True)


def _write_metric(result: QueryResult, output: Output) -> None:
    lines: list[tuple[str, str, str]] = []
    for element in result.result:
        points = element["values"] if "values" in element else [element["value"]]
        lines += [(labels_text(element["metric"]), _time(int(float(t) * 1e9)), value) for t, value in points]
    write_rows(("series", "time", "value"), lines, output)


def _ns(text: str) -> int:
    seconds = moment_s(text)
    if abs(seconds) > MOST_S:
        raise UserError(f"cannot use time {text!r}: logs know the years 1678 to 2261; name a time between them")
    return int(seconds * 1e9)


def _time(ns: int) -> str:
    text = datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ns % 10**9 // 10**6:03d}Z"
