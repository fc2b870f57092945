"""`obs test promql`: Prometheus's own test scripts, on a store in memory or on blocks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obs.cli.output import note

if TYPE_CHECKING:
    from obs.tsdb.promql.scripts import ScriptResult

group = typer.Typer(name="test", help="Run test scripts.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group)


@group.callback()
def _group() -> None:
    """A group stays one although it has a single verb."""


@group.command(name="promql", help="Run scripts in the dialect of Prometheus's promqltest.")
def promql(
    files: Annotated[list[Path], typer.Argument(help="Script files.", exists=True, dir_okay=False)],
    on_disk: Annotated[bool, typer.Option("--on-disk", help="Load into blocks: flushed and merged first.")] = False,
) -> None:
    """Print passed and failed evals per file; exit code 1 where any failed."""
    from obs.tsdb.promql.scripts import run_file
    from obs.tsdb.promql.scripts.stored import StoredSource

    failed = 0
    for path in files:
        result = run_file(path, StoredSource) if on_disk else run_file(path)
        failed += result.failed
        print(f"{path}: {result.passed} passed, {result.failed} failed", flush=True)
        _show_failures(result)
    if failed:
        raise typer.Exit(1)


def _show_failures(result: ScriptResult) -> None:
    for failure in result.failures:
        note(f"{result.path}:{failure.line}: {failure.query}: {failure.reason}")
