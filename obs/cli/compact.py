"""`obs compact`: merge blocks by hand while the server is off."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obs.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from obs.logstore.store import LogStore
    from obs.tracestore.store import TraceStore
    from obs.tsdb.store import MetricStore

STORES = ("metrics", "logs", "traces")
RECOVERY_S = 3600.0


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="compact", help="Merge a data folder's blocks while obs is not running.")(compact)


def compact(data: Annotated[Path, typer.Option(help="The data folder.")] = Path("obs-data")) -> None:
    """Read back what is in the WAL, then merge each store's blocks as far as they go."""
    if not data.is_dir():
        raise UserError(f"cannot compact {str(data)!r}: there is no such folder; name obs' data folder with --data")
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from obs.app import make_stores
    from obs.config import Config
    from obs.serving.data_folder import DataFolder

    columns = (TextColumn("{task.description:10}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    folder = DataFolder(data)
    try:
        with Progress(*columns) as bars:
            stores: list[MetricStore | LogStore | TraceStore] = list(make_stores(Config(data=data)))
            for name, store in zip(STORES, stores, strict=True):
                bar = bars.add_task(name, total=1.0)
                store.open()
                try:
                    store.engine.wait_recovered(RECOVERY_S)
                    store.flush()
                    store.engine.compact(partial(_show, bars, bar))
                finally:
                    store.close()
                bars.update(bar, completed=1.0)
    finally:
        folder.release()


def _show(bars: Progress, bar: TaskID, done: float) -> None:
    """Move a bar to the share done, 0..1."""
    bars.update(bar, completed=done)
