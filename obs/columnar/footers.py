"""Checksums of Parquet's footers, looked at before a file is opened: Arrow ends the process at some damaged ones.

In: a Parquet file. Out: the CRC32C of its footer, kept in meta.json under `extra` (blocks of before have none).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google_crc32c

FOOTERS = "footers"
"""Key of `BlockMeta.extra`: checksums by file name."""

TAIL_BYTES = 8
"""The footer's length and the magic bytes. Source: parquet.apache.org/docs/file-format."""


def checksum(path: Path) -> int:
    """CRC32C of the footer, its length included; of the whole file where that is not a length. Raises: OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - TAIL_BYTES, 0))
        length = int.from_bytes(file.read(4), "little") + TAIL_BYTES
        file.seek(max(size - length, 0))
        return int(google_crc32c.value(file.read()))


def damaged(folder: Path, extra: Mapping[str, Any]) -> str | None:
    """The first file of a block whose footer is not what was written, or None. Raises: OSError."""
    footers: Mapping[str, int] = extra.get(FOOTERS, {})
    return next((name for name, written in footers.items() if checksum(folder / name) != written), None)
