"""`obs export`: samples of a running obs into a file or to standard output, bit by bit where the format can."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, cast

import typer

from obs.cli.moments import moment_s
from obs.cli.options import DEFAULT_SERVER, FileFormat, Server
from obs.cli.output import note
from obs.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress

    from obs.interchange.writers import Writer

REQUEST_S = 300.0
BY_NAME = {".parquet": FileFormat.PARQUET, ".csv": FileFormat.CSV, ".dump": FileFormat.DUMP}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="export", help="Write samples out: OpenMetrics, promtool's tsdb dump, CSV, Parquet.")(export)


def export(
    selector: Annotated[str, typer.Argument(help='Which series: `up`, `{job="node"}`, `{__name__=~".+"}` for all.')],
    start: Annotated[str, typer.Option(help="From when: `-1h`, RFC 3339, unix seconds (default: the first).")] = "",
    end: Annotated[str, typer.Option(help="Until when (default: the last).")] = "",
    format_: Annotated[
        FileFormat | None, typer.Option("--format", help="What is written (default: by the name).")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; .gz and .zst compress.")] = None,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Write the samples, sorted by labels, then time."""
    kind = format_ or _by_name(output)
    if kind is FileFormat.PARQUET and output is None and sys.stdout.isatty():
        raise UserError("cannot write parquet to the terminal: it is no text; name a file with -o")
    began = time.monotonic()
    times = [(name, moment_s(text) if text else None) for name, text in (("start", start), ("end", end))]
    with _written(output) as file, _bars() as bars:
        samples, lacks = _copy(selector, times, kind, file, server, bars)
    for text, count in lacks.items():
        if count:
            note(f"{count:,} {text}")
    note(f"exported {samples:,} samples in {time.monotonic() - began:.1f} s")


def _copy(
    selector: str, times: list[tuple[str, float | None]], kind: FileFormat, file: IO[bytes], server: str,
    bars: Progress,
) -> tuple[int, dict[str, int]]:  # fmt: skip
    """The server's answer into a file; returns how many samples were written, and what the format lacks."""
    import pyarrow as pa

    from obs.client import ObsClient
    from obs.client.transport import ClientError
    from obs.interchange.sources import Format
    from obs.interchange.writers import WRITERS

    bar = bars.add_task("export", total=None, samples=0)
    transport = ObsClient(server, REQUEST_S).transport
    samples = 0
    with transport.stream("/api/v1/export", [("match[]", selector), *times]) as answer:
        try:
            with pa.ipc.open_stream(answer) as batches:
                writer: Writer = WRITERS[Format(kind.value)](file)
                for batch in batches:
                    samples += writer.write(batch)
                    bars.update(bar, samples=samples, advance=batch.nbytes)
                writer.end()
        except (pa.ArrowInvalid, EOFError) as e:
            raise ClientError(f"cannot read the answer of {transport.base_url}: {e}; is this obs?") from None
    return samples, dict(writer.lacks)


def _by_name(output: Path | None) -> FileFormat:
    suffixes = output.suffixes if output else []
    return next((BY_NAME[s] for s in reversed(suffixes) if s in BY_NAME), FileFormat.OPENMETRICS)


@contextmanager
def _written(output: Path | None) -> Iterator[IO[bytes]]:
    """The file to write to; it gets its name once it is whole. Raises: UserError."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as plain, _compressed(plain, output.suffix) as file:
            yield file
        part.replace(output)
    except OSError as e:
        raise UserError(f"cannot write {str(output)!r}: {e.strerror or e}; name another file with -o") from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _compressed(plain: IO[bytes], suffix: str) -> Iterator[IO[bytes]]:
    if suffix == ".gz":
        import gzip

        with gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=6) as packed:
            yield cast(IO[bytes], packed)
    elif suffix == ".zst":
        import pyarrow as pa

        with pa.CompressedOutputStream(pa.PythonFile(plain, "w"), "zstd") as packed:
            yield packed
    else:
        yield plain


def _bars() -> Progress:
    """On standard error, where it is a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TransferSpeedColumn

    columns = (SpinnerColumn(), TextColumn("{task.fields[samples]:,} samples"), TransferSpeedColumn())
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty())
