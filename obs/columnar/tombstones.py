"""Deletes on disk: a tombstone says which rows are gone, although blocks or WAL segments may still hold them.

It hides rows that were written before it only: those of generations below `before`. Which rows of these is the store's
to say, in `payload`. One file each, made whole by a rename; let go when nothing holds such rows any more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from obs.columnar.disk import sync_folder, write_synced
from obs.columnar.filenames import TOMBSTONES, quarantine_path, temporary_path, tombstone_path
from obs.columnar.frame import encode_bytes, frame_at
from obs.columnar.meta import BlockMeta
from obs.errors import CorruptionError

log = logging.getLogger(__name__)

_MAGIC = b"obsDEL1\n"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One delete."""

    sequence: int  # rises by one; a block's meta says up to which its rows were dropped
    before: int  # a generation: rows of this and later ones were written after the delete
    min_ns: int  # the times it may concern, both inclusive
    max_ns: int
    payload: bytes  # which rows, in the store's own words

    def concerns(self, meta: BlockMeta) -> bool:
        """Whether a block may hold rows that this hides."""
        return (
            self.sequence > meta.erased
            and meta.low < self.before
            and meta.min_ns <= self.max_ns
            and self.min_ns <= meta.max_ns
        )


def encode_tombstone(tombstone: Tombstone) -> bytes:
    """The bytes of its file."""
    header = {
        "sequence": tombstone.sequence,
        "before": tombstone.before,
        "min_ns": str(tombstone.min_ns),  # past 64 bits where a column of milliseconds holds anything
        "max_ns": str(tombstone.max_ns),
    }
    return _MAGIC + encode_bytes(orjson.dumps(header) + b"\n" + tombstone.payload)


def decode_tombstone(data: bytes) -> Tombstone:
    """The way back. Raises: ValueError where the bytes are not what `encode_tombstone` wrote."""
    found = frame_at(memoryview(data), len(_MAGIC)) if data.startswith(_MAGIC) else None
    if found is None:
        raise ValueError("checksum does not fit")
    header, _, payload = found.partition(b"\n")
    try:
        facts = orjson.loads(header)
        return Tombstone(facts["sequence"], facts["before"], int(facts["min_ns"]), int(facts["max_ns"]), payload)
    except (KeyError, TypeError) as e:
        raise ValueError(f"key missing or of the wrong type: {e}") from None


def write_tombstone(folder: Path, tombstone: Tombstone) -> None:
    """On disk for good when this returns. Raises: OSError."""
    staged = temporary_path(folder, "tombstone")
    path = tombstone_path(folder, tombstone.sequence)
    write_synced(staged, encode_tombstone(tombstone))
    os.rename(staged, path)
    try:
        sync_folder(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def read_tombstones(folder: Path) -> tuple[list[Tombstone], int]:
    """All of a folder, oldest first, and how many were damaged and went to quarantine. Raises: OSError."""
    found, damaged = [], 0
    for path in sorted((folder / TOMBSTONES).iterdir()):
        try:
            found.append(_load(path))
        except CorruptionError as e:
            damaged += 1
            target = quarantine_path(folder, path.name)
            log.error("%s; moved to %r, what it deleted is visible again", e, str(target))
            os.rename(path, target)
    return found, damaged


def _load(path: Path) -> Tombstone:
    try:
        return decode_tombstone(path.read_bytes())
    except (OSError, ValueError) as e:
        raise CorruptionError(f"cannot read tombstone {str(path)!r}: {e}", str(path)) from None


def remove_tombstones(folder: Path, tombstones: Iterable[Tombstone]) -> None:
    """Take files away; one that comes back with a power cut hides nothing. Raises: OSError."""
    for tombstone in tombstones:
        tombstone_path(folder, tombstone.sequence).unlink(missing_ok=True)
