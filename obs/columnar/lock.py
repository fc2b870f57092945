"""One process per folder: an flock that the kernel lets go of whatever way the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from obs.columnar.filenames import LOCK
from obs.errors import ConfigError


class FolderLock:
    """Holds `<folder>/lock` from construction to `release`. Raises: ConfigError where another holds it."""

    def __init__(self, folder: Path) -> None:
        try:
            self._fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as e:
            raise ConfigError(f"cannot open data folder {str(folder)!r}: {e.strerror}; make it writable") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise ConfigError(
                f"cannot open data folder {str(folder)!r}: process {holder or 'unknown'} has it open; "
                "stop that obs, or give this one its own folder"
            ) from None
        self._write_holder()

    def _write_holder(self) -> None:
        """Tells a second obs who holds the folder; a full disk may keep that from it, no more."""
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)
        except OSError:
            pass

    def release(self) -> None:
        """Let go; safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
