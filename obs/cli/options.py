"""Options that several verbs share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, ParamSpec

import typer

from obs.client.transport import expected_answer

P = ParamSpec("P")


class Output(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class FileFormat(StrEnum):
    """Files of samples, as `obs.interchange.sources` knows them."""

    OPENMETRICS = "openmetrics"
    DUMP = "promtool-dump"
    CSV = "csv"
    PARQUET = "parquet"


Server = Annotated[str, typer.Option("--server", envvar="OBS_SERVER", help="Address of a running obs.")]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How the result is written.")]
Start = Annotated[str, typer.Option("--start", help="From when: `-1h`, RFC 3339 or unix seconds.")]
End = Annotated[str, typer.Option("--end", help="Until when; the same forms, and `now`.")]

DEFAULT_SERVER = "http://127.0.0.1:9600"


def reads_answers(verb: Callable[P, None]) -> Callable[P, None]:
    """The verb, which says in words that the server's answer has another form than it expected."""

    @functools.wraps(verb)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        with expected_answer(str(kwargs.get("server", DEFAULT_SERVER))):
            verb(*args, **kwargs)

    return guarded
