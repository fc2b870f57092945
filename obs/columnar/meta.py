"""A block's meta.json: what the block holds, which files, and which blocks it stands for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import orjson

from obs.columnar import footers
from obs.columnar.filenames import META
from obs.errors import CorruptionError

FORMAT = 1

TABLE_BYTES = "table_bytes"
"""What of `decoded_bytes` is of each table, among the extra facts of a block."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Size and CRC32C of one file of a block."""

    bytes: int
    crc32c: int


@dataclass(frozen=True, slots=True)
class BlockMeta:
    """Facts of one block. `low` to `high` are the generations (heads) whose rows it holds: its place in write order."""

    name: str
    partition: str
    low: int
    high: int
    min_ns: int
    max_ns: int
    rows: int  # of the layout's first table
    table_rows: Mapping[str, int]
    decoded_bytes: int  # the tables as Arrow
    files: Mapping[str, FileFacts]
    created_ns: int
    replaces: tuple[str, ...] = ()  # names of the blocks whose rows are all here
    extra: Mapping[str, Any] = field(default_factory=dict)  # what write_block returned, and checksums of footers
    rows_in: int = 0  # of the layout's first table before equal keys were dropped; 0: not known
    erased: int = 0  # what tombstones up to this sequence hide is not here

    def bytes_beside(self, tables: Collection[str]) -> int:
        """Decoded bytes of other tables than these; of a block that does not tell all, where it has rows of others."""
        told: Mapping[str, int] | None = self.extra.get(TABLE_BYTES)
        if told is None:
            return self.decoded_bytes if any(n for name, n in self.table_rows.items() if name not in tables) else 0
        return sum(n for name, n in told.items() if name not in tables)

    @property
    def bytes_disk(self) -> int:
        """Bytes of all files but meta.json."""
        return sum(f.bytes for f in self.files.values())


def encode_meta(meta: BlockMeta) -> bytes:
    """meta.json's bytes; its last key is the CRC32C of the rest. Raises: TypeError where `extra` is not JSON."""
    facts = {"format": FORMAT, **asdict(meta)}
    for bound in ("min_ns", "max_ns"):  # past 64 bits where a column of milliseconds holds anything
        facts[bound] = str(facts[bound])
    body = orjson.dumps(facts, option=orjson.OPT_SERIALIZE_NUMPY)
    return orjson.dumps({"block": orjson.Fragment(body), "crc32c": google_crc32c.value(body)})


def decode_meta(data: bytes) -> BlockMeta:
    """The way back. Raises: ValueError where the bytes are not what `encode_meta` wrote."""
    outer = orjson.loads(data)
    try:
        facts = outer["block"]
        if google_crc32c.value(orjson.dumps(facts)) != outer["crc32c"]:
            raise ValueError("checksum does not fit")
        if facts.pop("format") != FORMAT:
            raise ValueError("written by another version of the format")
        facts["files"] = {name: FileFacts(**f) for name, f in facts["files"].items()}
        facts["replaces"] = tuple(facts["replaces"])
        facts["min_ns"], facts["max_ns"] = int(facts["min_ns"]), int(facts["max_ns"])
        return BlockMeta(**facts)
    except (KeyError, TypeError, AttributeError) as e:
        raise ValueError(f"key missing or of the wrong type: {e}") from None


def load_meta(folder: Path) -> BlockMeta:
    """Read a block's meta.json and see that its files are there in full size, with the footers that were written.

    Raises: CorruptionError.
    """
    path = folder / META
    try:
        meta = decode_meta(path.read_bytes())
    except (OSError, ValueError) as e:
        raise CorruptionError(f"cannot read block {folder.name!r}: {META}: {e}", str(path)) from None
    for name, facts in meta.files.items():
        try:
            size = (folder / name).stat().st_size
        except OSError as e:
            raise CorruptionError(f"cannot read block {folder.name!r}: {name}: {e.strerror}", str(folder)) from None
        if size != facts.bytes:
            raise CorruptionError(
                f"cannot read block {folder.name!r}: {name} has {size} bytes instead of {facts.bytes}", str(folder)
            )
    bad = footers.damaged(folder, meta.extra)
    if bad is not None:
        raise CorruptionError(
            f"cannot read block {folder.name!r}: {bad} has another footer than was written", str(folder)
        )
    return meta
