"""The data folder: made if it is missing, tried for writing, held by one obs at a time."""

from __future__ import annotations

import os
from pathlib import Path

from obs.columnar.lock import FolderLock
from obs.errors import ConfigError


class DataFolder:
    """Takes the folder at once. Raises: ConfigError where it cannot be written or another obs holds it."""

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise ConfigError(f"data: cannot make folder {str(path)!r}: {e.strerror}; set --data") from None
        if not os.access(path, os.W_OK | os.X_OK):
            raise ConfigError(f"data: cannot write to folder {str(path)!r}: make it writable, or set another --data")
        self._lock = FolderLock(path)

    def release(self) -> None:
        """Let another obs have it."""
        self._lock.release()
