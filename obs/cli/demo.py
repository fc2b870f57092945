"""`obs demo`: a small shop of five instrumented processes."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="demo", help="Run a small instrumented shop that sends traces, metrics and logs.")(demo)


def demo(
    to: Annotated[str, typer.Option("--to", help="HOST:PORT of OTLP/gRPC.")] = "127.0.0.1:4317",
    rate: Annotated[float, typer.Option(help="Orders a second.")] = 5.0,
    seconds: Annotated[float, typer.Option(help="End after this long (0: run until stopped).")] = 0.0,
) -> None:
    """Run until SIGTERM, Ctrl-C or `--seconds`."""
    from obs.demo.run import run

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if seconds:
        threading.Timer(seconds, stop.set).start()
    print(f"the shop sends to {to}: frontend, cart, payment, mailer, shopper; Ctrl-C ends it", flush=True)
    run(to, rate, stop)
