"""Reads small kernel files below a root: `/` on a host, `/host` in a container, a folder of fixtures in a test.

A file that is missing, or may not be read, is None: a kernel without a feature is no error.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def read_text(path: str | Path) -> str | None:
    """A kernel file as text, or None where it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
        return b"".join(parts).decode("utf-8", "replace")
    except OSError:  # e.g. ENODEV: the cgroup went away after the open
        return None
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class HostRoot:
    """Where the host's `/proc`, `/sys` and file systems are seen from here."""

    path: Path = Path("/")

    def at(self, inside: str) -> Path:
        """The path here of the host's absolute path `inside`."""
        return self.path / inside.lstrip("/")

    def read(self, inside: str) -> str | None:
        """The text of a host file, or None."""
        return read_text(self.at(inside))
