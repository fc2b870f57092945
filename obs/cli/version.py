"""`obs version`."""

from __future__ import annotations

import typer

from obs.version import __version__


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="version", help="Print the version.")(version)


def version() -> None:
    """Print it."""
    print(__version__)
