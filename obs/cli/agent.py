"""`obs agent`: the node agent alone."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="agent", help="Ship this host's metrics, containers and log files to an obs.")(agent)


def agent(
    to: Annotated[str, typer.Option("--to", help="HOST:PORT of OTLP/gRPC.")] = "127.0.0.1:4317",
    interval: Annotated[float, typer.Option(help="Seconds between readings.")] = 10.0,
    logs: Annotated[list[str] | None, typer.Option("--logs", help="Glob of log files; may be repeated.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of positions and unsent data.")] = None,
) -> None:
    """Run until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    from obs.agent.config import DEFAULT_LOG_GLOBS
    from obs.agent.main import run

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(to, interval_s=interval, data_dir=data, log_globs=logs or DEFAULT_LOG_GLOBS, stop=stop)
