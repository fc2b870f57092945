"""`obs import`: samples out of files into a running obs, or into a data folder whose server is off."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obs.cli.options import DEFAULT_SERVER, FileFormat, Server
from obs.cli.output import note
from obs.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

    from obs.interchange.faults import Faults
    from obs.interchange.pieces import LabelSets
    from obs.interchange.sinks import Sink

REQUEST_S = 120.0


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="import", help="Take samples in: OpenMetrics, promtool's tsdb dump, CSV, Parquet.")(import_)


def import_(
    files: Annotated[list[str], typer.Argument(help="Files, plain or gzip or zstd; folders of blocks; `-` is stdin.")],
    format_: Annotated[
        FileFormat | None, typer.Option("--format", help="What the files are (default: a guess).")
    ] = None,
    labels: Annotated[list[str] | None, typer.Option("--label", help="name=value on all series; repeatable.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first line that cannot be read.")] = False,
    data: Annotated[Path | None, typer.Option(help="A data folder, in place of a server; its obs is off.")] = None,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Import all files; exit code 1 where some of their samples were refused."""
    from obs.interchange.faults import Faults
    from obs.interchange.pieces import LabelSets, added_labels

    sets = LabelSets(added_labels(labels or ()))
    for name in files:
        if name != "-" and not Path(name).exists():
            raise UserError(f"cannot open {name!r}: there is no such file; name a file that can be read")
    began = time.monotonic()
    with _bars() as bars:
        faults = Faults(lambda text: bars.console.print(text, markup=False, highlight=False, soft_wrap=True), strict)
        sink = _sink(server, data)
        try:
            kept = sum(_one(name, format_, sets, faults, sink, bars) for name in files)
        finally:
            sink.close()
    _sum_up(kept, len(files), faults, time.monotonic() - began)


def _sink(server: str, data: Path | None) -> Sink:
    from obs.client import ObsClient
    from obs.interchange import sinks

    return sinks.Server(ObsClient(server, REQUEST_S)) if data is None else sinks.Folder(data)


def _bars() -> Progress:
    """On standard error, where it is a terminal; elsewhere only what is printed is seen."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

    figures = TextColumn("{task.fields[samples]:,} samples, {task.fields[refused]:,} rejected")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), figures)
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty())


def _one(
    name: str, kind: FileFormat | None, sets: LabelSets, faults: Faults, sink: Sink, bars: Progress
) -> int:  # fmt: skip
    """Import a file; returns how many of its samples are durable."""
    from obs.interchange.importing import keep, pieces
    from obs.interchange.sources import Format, Source, size_of

    bar = bars.add_task(name, total=size_of(name), samples=0, refused=0)
    kept = 0

    def tell(samples: int) -> None:
        nonlocal kept
        kept += samples
        bars.update(bar, samples=kept, refused=faults.total)

    source = Source(name, _advance(bars, bar))
    try:
        keep(pieces(source, Format(kind.value) if kind else None, sets, faults), sink, faults, tell)
    finally:
        source.close()
    return kept


def _advance(bars: Progress, bar: object) -> Callable[[int], None]:
    return lambda read: bars.advance(bar, read)  # type: ignore[arg-type]


def _sum_up(kept: int, files: int, faults: Faults, took_s: float) -> None:
    """Say what was done; exit with 1 where something was refused."""
    print(f"imported {kept:,} samples of {files} file{'s'[: files > 1]} in {took_s:.1f} s")
    for cause, count in faults.counts.most_common():
        note(f"rejected {count:,}: {cause}")
    if faults.total:
        raise typer.Exit(1)
