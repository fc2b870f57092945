"""The command line as a user gives it, run in the test's own process: the same `main`, without a start of Python."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from obs.cli.main import main


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def obs(*words: str, server: str = "", input: str = "", cwd: Path | None = None) -> Done:
    """Run a command to its end. `server` stands in OBS_SERVER."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), write_through=True) for name in ("stdout", "stderr")}
    given = io.TextIOWrapper(io.BytesIO(input.encode()))
    environment = {"OBS_SERVER": server} if server else {}
    with (
        mock.patch.multiple(sys, argv=["obs", *words], stdin=given, **streams),
        mock.patch.dict(os.environ, environment),
        contextlib.chdir(cwd or Path.cwd()),
    ):
        code = _exit_code()
    out, err = (stream.buffer.getvalue().decode() for stream in streams.values())  # type: ignore[attr-defined]
    return Done(code, out, err)


def _exit_code() -> int:
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
