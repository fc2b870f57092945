"""Where blocks live: a small port, and the local folder behind it.

The caller writes blocks into a staging folder and commits them together: all of them or none are found again,
whatever the instant of a crash. See FORMAT.md for the steps.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson

from obs.columnar.disk import sync_folder, write_synced
from obs.columnar.filenames import BLOCKS, COMMIT, DROPPED, META, READY, TEMPORARY, temporary_path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Commit:
    """Blocks committed together, and the WAL segments whose rows they hold."""

    id: str
    blocks: tuple[Path, ...]
    covers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What is in the storage at open: block folders, and commits that were not settled."""

    blocks: tuple[Path, ...]
    unsettled: tuple[Commit, ...]


class Storage(Protocol):
    """Where blocks live. Block folders it hands out stay readable until `remove`."""

    def recover(self) -> Found:
        """Finish what a crash left half done. Raises: OSError."""

    def commit(self, staging: Path, covers: Sequence[int]) -> Commit:
        """Make every block folder in `staging` part of the storage, all or none. Raises: OSError: none are."""

    def settle(self, commit: Commit) -> None:
        """Forget what a commit covers: the WAL segments are gone. Raises: OSError."""

    def remove(self, block: Path, *, in_use: bool) -> None:
        """Take a block away for good; while `in_use` its files stay, but no `recover` finds it. Raises: OSError."""


class LocalStorage:
    """Blocks in a local folder. A rename of the staging folder into ready/ is the commit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recover(self) -> Found:
        """See `Storage`."""
        for leftover in (self._folder / TEMPORARY).iterdir():
            shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink()
        sync_folder(self._folder / READY)
        ready = sorted((self._folder / READY).iterdir())
        unsettled = tuple(self._finish(folder, _blocks_in(folder), _covers_of(folder)) for folder in ready)
        homeless = [b for commit in unsettled for b in commit.blocks if b.parent.parent.name == READY]
        blocks = []
        for folder in [*sorted((self._folder / BLOCKS).iterdir()), *homeless]:
            if (folder / DROPPED).exists():
                self.remove(folder, in_use=False)
            else:
                blocks.append(folder)
        return Found(tuple(blocks), unsettled)

    def commit(self, staging: Path, covers: Sequence[int]) -> Commit:
        """See `Storage`."""
        write_synced(staging / COMMIT, orjson.dumps({"covers": list(covers)}))
        sync_folder(staging)
        ready = self._folder / READY / staging.name
        names = _blocks_in(staging)
        os.rename(staging, ready)
        try:
            sync_folder(ready.parent)
        except OSError as e:
            if _taken_back(ready, staging):
                raise
            log.warning("cannot sync %r: %s; commit %r may not outlive a power cut", str(ready.parent), e, ready.name)
        return self._finish(ready, names, covers)

    def _finish(self, ready: Path, names: Iterable[str], covers: Iterable[int]) -> Commit:
        """Move a commit's blocks to where they belong. What cannot be moved is served from where it is."""
        return Commit(ready.name, tuple(self._move(ready / name) for name in names), tuple(covers))

    def _move(self, folder: Path) -> Path:
        home = self._folder / BLOCKS / folder.name
        try:
            os.rename(folder, home)
        except OSError as e:
            log.warning("cannot move block %r: %s; it is served from there", str(folder), e.strerror)
            return folder
        return home

    def settle(self, commit: Commit) -> None:
        """See `Storage`."""
        ready = self._folder / READY / commit.id
        sync_folder(self._folder / BLOCKS)
        if not any(block.parent == ready for block in commit.blocks):
            (ready / COMMIT).unlink(missing_ok=True)
            ready.rmdir()

    def remove(self, block: Path, *, in_use: bool) -> None:
        """See `Storage`."""
        if in_use:
            (block / DROPPED).touch()
            return
        trash = temporary_path(self._folder, "gone")
        os.rename(block, trash)
        shutil.rmtree(trash, ignore_errors=True)


def _taken_back(ready: Path, staging: Path) -> bool:
    """Whether a commit that could not be synced was made none again."""
    try:
        os.rename(ready, staging)
    except OSError:
        return False
    return True


def _blocks_in(folder: Path) -> list[str]:
    return sorted(child.name for child in folder.iterdir() if (child / META).exists())


def _covers_of(ready: Path) -> Sequence[int]:
    try:
        covers: Sequence[int] = orjson.loads((ready / COMMIT).read_bytes())["covers"]
        return covers
    except FileNotFoundError:
        return ()  # settled but for the folder itself
    except (OSError, ValueError, KeyError) as e:
        log.error("cannot read commit %r: %s", str(ready), e)
        return ()
