"""Globs → log files, each once: links and bind mounts lead to the same device and inode."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PACKED_SUFFIXES = (".gz", ".xz", ".zst", ".bz2", ".lz4", ".zip")


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file that a glob named."""

    path: str
    device: int
    inode: int
    size: int


def find_files(globs: Iterable[str], root: Path = Path("/")) -> list[Found]:
    """The files of all globs below `root`, sorted by path. The first path of a file counts."""
    prefix = "" if root == Path("/") else str(root)
    paths = {path for pattern in globs for path in glob.iglob(prefix + pattern, recursive=True)}
    found: dict[tuple[int, int], Found] = {}
    for path in sorted(paths):
        file = look_at(path)
        if file is not None and not path.endswith(PACKED_SUFFIXES):
            found.setdefault((file.device, file.inode), file)
    return list(found.values())


def look_at(path: str) -> Found | None:
    """A regular file as it is now, or None."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Found(path, status.st_dev, status.st_ino, status.st_size) if stat.S_ISREG(status.st_mode) else None


def is_binary(head: bytes) -> bool:
    """Whether a file begins like one that is not text (wtmp, journal files)."""
    return b"\0" in head


def rotated_siblings(path: str) -> list[Found]:
    """What a rotation may have made of `path`: files beside it named `x.log.1`, `x.log-2026` or `x-2026.log`.

    Packed ones cannot be read on.
    """
    folder, name = os.path.split(path)
    stem = name.rpartition(".")[0] or name
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        return []
    candidates = [
        os.path.join(folder, n)
        for n in names
        if n != name
        and n.startswith((name + ".", name + "-", stem + "-", stem + "."))
        and not n.endswith(PACKED_SUFFIXES)
    ]
    return [f for f in map(look_at, candidates) if f is not None]
