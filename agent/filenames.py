"""Every file of the agent's data folder.

checkpoints.json        positions of followed log files, as far as the server acknowledged them
lock                    held by the running agent
spool/metrics/N.req     requests that wait for the server, oldest first by N
spool/logs/N.req
"""

from __future__ import annotations

import os
from pathlib import Path

SPOOL_SUFFIX = ".req"
TEMPORARY_SUFFIX = ".tmp"


def checkpoints_file(data: Path) -> Path:
    """Positions of log files."""
    return data / "checkpoints.json"


def lock_file(data: Path) -> Path:
    """Held by the agent that owns the folder."""
    return data / "lock"


def spool_folder(data: Path, signal: str) -> Path:
    """The waiting requests of one signal."""
    return data / "spool" / signal


def write_atomically(path: Path, data: bytes, *, sync: bool = False) -> None:
    """The file has either its old content or all of the new one, whenever we are stopped."""
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    with open(temporary, "wb") as f:
        f.write(data)
        if sync:
            f.flush()
            os.fsync(f.fileno())
    os.replace(temporary, path)
