"""A copy of a consistent set of blocks that costs no room: hard links, or copies where those cannot be."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from obs.columnar.disk import sync_folder, write_synced
from obs.columnar.filenames import BLOCKS, DROPPED, tombstone_path
from obs.columnar.tombstones import encode_tombstone
from obs.columnar.view import View
from obs.errors import UserError


def write_snapshot(view: View, destination: Path) -> int:
    """Link the view's blocks into `<destination>/blocks`; returns how many. Raises: UserError."""
    target = destination / BLOCKS
    if target.exists():
        raise UserError(f"cannot write snapshot {str(destination)!r}: it exists; name a new folder")
    try:
        target.mkdir(parents=True)
        for tombstone in {t for block in view.blocks for t in block.tombstones}:
            path = tombstone_path(destination, tombstone.sequence)
            path.parent.mkdir(exist_ok=True)
            write_synced(path, encode_tombstone(tombstone))
        for block in view.blocks:
            _link_folder(block.folder, target / block.folder.name)
        sync_folder(target)
    except OSError as e:
        raise UserError(f"cannot write snapshot {str(destination)!r}: {e}; name a writable folder") from None
    return len(view.blocks)


def _link_folder(source: Path, target: Path) -> None:
    target.mkdir()
    for path in source.iterdir():
        if path.name == DROPPED:
            continue
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copy2(path, target / path.name)
    sync_folder(target)
