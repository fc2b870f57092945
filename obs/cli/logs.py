"""`obs logs`: LogQL over stored records, or following new ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from obs.cli.moments import moment_s
from obs.cli.options import DEFAULT_SERVER, End, Output, OutputOption, Server, Start, reads_answers
from obs.cli.output import labels_text, write_json, write_rows
from obs.client import ObsClient, QueryResult
from obs.errors import UserError

POLL_S = 1.0
LAST_NS = 10**15
MOST_S = 9.2e9
"""Nanoseconds since 1970 in 64 bits end here."""

Record = tuple[int, str, dict[str, str]]  # time_ns, line, labels and attributes


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="logs", help="Search log records with LogQL, or any text.")(reads_answers(logs))


def logs(
    logql: Annotated[str, typer.Argument(help='The query: `{service_name="cart"} |= "timeout"`, or plain words.')],
    start: Start = "-1h",
    end: End = "now",
    limit: Annotated[int, typer.Option(help="At most this many records, the newest.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new records as they arrive.")] = False,
    output: OutputOption = Output.TABLE,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Write the records, oldest first; a metric query's result as a table."""
    client = ObsClient(server)
    start_ns, end_ns = _ns(start), _ns(end)
    result = client.loki.query_range(logql, start_ns, end_ns + 1, limit=limit)
    if result.kind != "streams":
        _write_metric(result, output)
        return
    found = records(result)
    _write(found, output)
    if follow:
        for new in _follow(client, logql, found[-1][0] if found else end_ns, found):
            _write(new, output)


def records(result: QueryResult) -> list[Record]:
    """The streams' records in the order of time."""
    found: list[Record] = []
    for stream in result.result:
        for entry in stream["values"]:
            attributes: dict[str, Any] = entry[2] if len(entry) > 2 else {}
            own = {**attributes.get("structuredMetadata", {}), **attributes.get("parsed", {})}
            found.append((int(entry[0]), entry[1], {**stream["stream"], **(own or attributes)}))
    return sorted(found, key=lambda r: r[0])


def _follow(client: ObsClient, logql: str, since_ns: int, seen: list[Record]) -> Iterator[list[Record]]:
    """New records for ever; those at the last time already written are not written again."""
    known = {(t, line) for t, line, _ in seen if t == since_ns}
    while True:
        time.sleep(POLL_S)
        result = client.loki.query_range(logql, since_ns, time.time_ns() + LAST_NS, limit=1000, direction="forward")
        new = [r for r in records(result) if (r[0], r[1]) not in known]
        if new:
            known = {(t, line) for t, line, _ in new if t == new[-1][0]} | (known if new[-1][0] == since_ns else set())
            since_ns = new[-1][0]
            yield new


def _write(found: list[Record], output: Output) -> None:
    if output is Output.JSON:
        for t, line, labels in found:
            write_json({"time": _time(t), "line": line, "labels": labels})
    elif output is Output.CSV:
        write_rows(("time", "line", "labels"), [(_time(t), line, labels) for t, line, labels in found], output)
    else:
        for t, line, labels in found:
            source = labels.get("service_name") or labels.get("log_file_name") or ""
            print(_time(t), labels.get("detected_level", "").upper().ljust(5), source, line, sep="  ", flush=True)


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
