"""Files written so that they survive: fsync of what was written and of the folder that names it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that its names survive a power cut. Raises: OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder_if_possible(folder: Path) -> None:
    """fsync a folder where what it names is already past recall: a failure only weakens it against a power cut."""
    try:
        sync_folder(folder)
    except OSError as e:
        log.warning("cannot sync %r: %s", str(folder), e.strerror)


def sync_file(path: Path) -> None:
    """fsync a file by name. Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_synced(path: Path, data: bytes) -> None:
    """A new file with `data`, on disk when this returns. Raises: OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
