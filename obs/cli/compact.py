"""`obs compact`: merge blocks by hand while the server is off."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STORES = ("metrics", "logs", "traces")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="compact", help="Merge a data folder's blocks while obs is not running.")(compact)


def compact(data: Annotated[Path, typer.Option(help="The data folder.")] = Path("obs-data")) -> None:
    """Read back what is in the WAL, then merge each store's blocks as far as they go."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from obs.app import make_stores
    from obs.config import Config
    from obs.serving.data_folder import DataFolder

    columns = (TextColumn("{task.description:10}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    folder = DataFolder(data)
    try:
        with Progress(*columns) as bars:
            for name, store in zip(STORES, make_stores(Config(data=data)), strict=True):
                bar = bars.add_task(name, total=1.0)
                store.open()
                try:
                    store.engine.wait_recovered(3600.0)
                    store.flush()
                    store.engine.compact(lambda done, bar=bar: bars.update(bar, completed=done))
                finally:
                    store.close()
                bars.update(bar, completed=1.0)
    finally:
        folder.release()
