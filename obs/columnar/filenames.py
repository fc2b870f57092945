"""Every name on disk under an engine's folder, in one place. See FORMAT.md for what they hold."""

from __future__ import annotations

import secrets
from pathlib import Path

LOCK = "lock"  # flock: one process at a time
WAL = "wal"  # wal/<generation>.wal
BLOCKS = "blocks"  # blocks/<block name>/: live blocks
READY = "ready"  # ready/<commit>/: blocks committed together, on their way to blocks/
TEMPORARY = "tmp"  # nothing in here counts; emptied at open
TOMBSTONES = "tombstones"  # tombstones/<sequence>.tombstone: deletes whose rows are still somewhere
QUARANTINE = "quarantine"  # damaged blocks, tombstones and WAL rests, for a human

META = "meta.json"  # in a block: what it holds; written last
DROPPED = "dropped"  # in a block: replaced or past retention, kept only for open views
COMMIT = "commit.json"  # in ready/<commit>/: the WAL segments these blocks stand for

FOLDERS = (WAL, BLOCKS, READY, TEMPORARY, TOMBSTONES, QUARANTINE)
GENERATION_DIGITS = 12


def segment_path(folder: Path, generation: int) -> Path:
    """The WAL segment of a generation."""
    return folder / WAL / f"{generation:0{GENERATION_DIGITS}d}.wal"


def segment_generation(path: Path) -> int | None:
    """The generation in a segment's name, or None where it is not one."""
    return int(path.stem) if path.suffix == ".wal" and path.stem.isdecimal() else None


def tombstone_path(folder: Path, sequence: int) -> Path:
    """The file of a delete."""
    return folder / TOMBSTONES / f"{sequence:0{GENERATION_DIGITS}d}.tombstone"


def parquet_name(table: str) -> str:
    """The file of a table in a block."""
    return f"{table}.parquet"


def block_name(partition: str, low: int, high: int) -> str:
    """A new block's folder: partition, the generations it covers, and letters that make it unique for ever."""
    return f"{partition}.{low:0{GENERATION_DIGITS}d}-{high:0{GENERATION_DIGITS}d}.{secrets.token_hex(4)}"


def temporary_path(folder: Path, purpose: str) -> Path:
    """A new name under tmp/; `purpose` is for whoever looks."""
    return folder / TEMPORARY / f"{purpose}.{secrets.token_hex(6)}"


def quarantine_path(folder: Path, name: str) -> Path:
    """A free place in quarantine/ for what was called `name`."""
    return folder / QUARANTINE / f"{name}.{secrets.token_hex(3)}"
