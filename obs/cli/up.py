"""`obs up`: the server, with the agent beside it."""

from __future__ import annotations

import logging
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from obs.app import App

BEGAN = time.monotonic()
RECOVERY_SHOWN_S = 0.5
"""A recovery that takes longer is shown, and its bar moves this often."""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="up", help="Start obs: take telemetry in, answer queries, serve the web UI.")(up)


def up(
    data: Annotated[Path | None, typer.Option(help="Folder that holds everything (default: ./obs-data).")] = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT of UI and APIs (default: 127.0.0.1:9600).")] = None,
    otlp_grpc: Annotated[str | None, typer.Option(help="HOST:PORT of OTLP/gRPC (default: 127.0.0.1:4317).")] = None,
    otlp_http: Annotated[str | None, typer.Option(help="HOST:PORT of OTLP/HTTP (default: 127.0.0.1:4318).")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file; the options above win over it.")] = None,
    no_agent: Annotated[bool, typer.Option("--no-agent", help="Do not run the node agent.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    from obs.columnar.memory import keep_little
    from obs.serving.sockets import allow_many

    keep_little()
    allow_many()
    from obs.app import App
    from obs.config import load

    overrides = {"data": data, "listen": listen, "otlp_grpc": otlp_grpc, "otlp_http": otlp_http}
    read = partial(load, config, {**overrides, "agent.enabled": False if no_agent else None})
    App(read(), reread=read).run(_announce)


def _announce(app: App) -> None:
    """Tell where everything is, once it answers."""
    lines = [
        f"obs is ready after {time.monotonic() - BEGAN:.1f} s",
        f"  web UI and APIs  {app.url}",
        f"  OTLP/gRPC        {app.otlp_grpc}",
        f"  OTLP/HTTP        {app.otlp_http}",
        f"  data folder      {app.config.data.resolve()}",
        *(f"  {name.removesuffix('.listen'):<15}  {address}" for name, address in app.receivers.items()),
    ]
    print("\n".join(lines), flush=True)
    threading.Thread(target=_show_recovery, args=(app,), name="show-recovery", daemon=True).start()


def _show_recovery(app: App) -> None:
    """Say how far the stores are with reading back what was not yet in blocks, if that takes longer than a moment."""
    time.sleep(RECOVERY_SHOWN_S)
    left = _recovering(app)
    if not left:
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        bars = {name: progress.add_task(f"recovering {name}", total=1.0) for name in left}
        while left:
            for name, bar in bars.items():
                progress.update(bar, completed=left.get(name, 1.0))
            time.sleep(RECOVERY_SHOWN_S)
            left = _recovering(app)
        for bar in bars.values():
            progress.update(bar, completed=1.0)


def _recovering(app: App) -> dict[str, float]:
    """Store → how far its recovery is, 0..1; those that have recovered are left out."""
    shares = {signal.value: store.stats().recovering for signal, store in app.stores.items()}
    return {name: share for name, share in shares.items() if share is not None}
