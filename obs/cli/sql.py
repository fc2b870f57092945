"""`obs sql`: SQL over the views metrics, series, logs and spans."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from obs.cli.options import DEFAULT_SERVER, Output, OutputOption, Server, reads_answers
from obs.cli.output import write_rows
from obs.client import ObsClient


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="sql", help="Run a SQL query over metrics, series, logs and spans.")(reads_answers(sql))


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT.")],
    output: OutputOption = Output.TABLE,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Run the query and write its rows."""
    client = ObsClient(server)
    if output is Output.CSV:
        sys.stdout.write(client.sql_as(query, "text/csv").decode())
        return
    answer = client.sql(query)
    write_rows(answer["columns"], answer["rows"], output)
