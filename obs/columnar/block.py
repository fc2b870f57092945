"""A block: an immutable folder of Parquet and index files with a meta.json. Written once, read by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq

from obs.columnar import footers
from obs.columnar.disk import sync_file, sync_folder, write_synced
from obs.columnar.filenames import META, parquet_name
from obs.columnar.limits import ROW_GROUP_ROWS, ZSTD_LEVEL
from obs.columnar.meta import TABLE_BYTES, BlockMeta, FileFacts, encode_meta, load_meta
from obs.columnar.tombstones import Tombstone

OnDamage = Callable[["Block", str], None]
_READ_BYTES = 1 << 20
AddRows = Callable[[pa.Table, int], None]
"""Takes a table, and the rows of a row group."""


class BlockFolderWriter:
    """The `BlockWriter` a layout is given: files of one new block, each synced, its size and checksum kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, FileFacts] = {}
        self.footers: dict[str, int] = {}
        self.table_rows: dict[str, int] = {}
        self.table_bytes: dict[str, int] = {}  # as Arrow
        folder.mkdir(parents=True)

    @property
    def name(self) -> str:
        """See `obs.columnar.layout.BlockWriter`."""
        return self.folder.name

    def parquet(self, name: str, table: pa.Table, *, row_group_rows: int = ROW_GROUP_ROWS, **options: Any) -> None:
        """See `obs.columnar.layout.BlockWriter`."""
        with self._parquet(name, table.schema, options) as write:
            write(table, row_group_rows)

    def parquet_parts(
        self, name: str, parts: Iterable[pa.Table], *, row_group_rows: int = ROW_GROUP_ROWS, **options: Any
    ) -> None:
        """See `obs.columnar.layout.BlockWriter`."""
        rest = iter(parts)
        first = next(rest)
        with self._parquet(name, first.schema, options) as write:
            for part in chain([first], rest):
                groups = -(-part.num_rows // row_group_rows)
                write(part, -(-part.num_rows // max(groups, 1)))

    @contextmanager
    def _parquet(
        self, name: str, schema: pa.Schema, options: dict[str, Any]
    ) -> Iterator[Callable[[pa.Table, int], None]]:
        """What adds tables to a file, in row groups of so many rows; afterwards the file is synced and counted."""
        options = {"compression": "zstd", **options}
        if options["compression"] == "zstd":
            options.setdefault("compression_level", ZSTD_LEVEL)
        path = self.folder / parquet_name(name)
        self.table_rows[name] = self.table_bytes[name] = 0
        with pq.ParquetWriter(path, schema, **options) as file:

            def write(table: pa.Table, row_group_rows: int) -> None:
                file.write_table(table, row_group_rows)
                self.table_rows[name] += table.num_rows
                self.table_bytes[name] += table.nbytes

            yield write
        sync_file(path)
        self.files[path.name] = _facts(path)
        self.footers[path.name] = footers.checksum(path)

    def file(self, filename: str, data: bytes) -> None:
        """See `obs.columnar.layout.BlockWriter`."""
        data = bytes(data)
        write_synced(self.folder / filename, data)
        self.files[filename] = FileFacts(len(data), google_crc32c.value(data))

    def finish(self, meta: BlockMeta) -> None:
        """Write meta.json, the last file; from now on the folder is a block."""
        write_synced(self.folder / META, encode_meta(meta))
        sync_folder(self.folder)


class Block:
    """One block as queries see it. Reading a damaged block tells `on_damage` and yields no rows."""

    def __init__(self, folder: Path, meta: BlockMeta, on_damage: OnDamage | None = None) -> None:
        self.folder = folder
        self.meta = meta
        self.damaged = False
        self.removed = False  # its files are deleted: no open view had it
        self.tombstones: tuple[Tombstone, ...] = ()  # hide rows of it; readers leave these out
        self._on_damage = on_damage

    @classmethod
    def load(cls, folder: Path, on_damage: OnDamage | None = None) -> Block:
        """The block in `folder`. Raises: CorruptionError."""
        return cls(folder, load_meta(folder), on_damage)

    def hiding(self, tombstones: Sequence[Tombstone]) -> Block:
        """The same block with rows hidden. Views that were taken before keep the one they have."""
        other = Block(self.folder, self.meta, self._on_damage)
        other.damaged, other.tombstones = self.damaged, tuple(tombstones)
        return other

    @property
    def name(self) -> str:
        """Unique for ever: fit as a cache's key."""
        return self.meta.name

    @property
    def order(self) -> tuple[int, int]:
        """Blocks sort by this: later ones hold what was written later."""
        return self.meta.high, self.meta.low

    def path(self, table: str) -> Path | None:
        """The Parquet file of a table, or None where the block has no rows of it."""
        return self.folder / parquet_name(table) if self.meta.table_rows.get(table) else None

    def file(self, filename: str) -> Path:
        """The path of an index file."""
        return self.folder / filename

    def schema(self, table: str) -> pa.Schema:
        """The columns of a table; none where the block has no rows of it."""
        path = self.path(table)
        return self._guarded(lambda: pq.read_schema(path), pa.schema([])) if path else pa.schema([])

    def read(
        self, table: str, columns: Sequence[str] | None = None, filters: Any = None, *, use_threads: bool = True,
        as_codes: bool = False,
    ) -> pa.Table:  # fmt: skip
        """Rows of a table. Columns that the block does not have are left out; so are all where it has no rows.

        `filters` are pyarrow.parquet's (an expression or DNF); they may only name columns the block has. With
        `as_codes`, and no filters, text that is stored with a dictionary comes with one.
        """
        path = self.path(table)
        if path is None:
            return pa.table({})
        wanted = list(columns) if columns is not None else None
        return self._guarded(lambda: _read(path, wanted, filters, use_threads, as_codes), pa.table({}))

    def read_file(self, filename: str) -> bytes:
        """The bytes of an index file; empty where the block is damaged."""
        return self._guarded((self.folder / filename).read_bytes, b"")

    def _guarded(self, read: Callable[[], Any], nothing: Any) -> Any:
        """`read()`, or `nothing` where the block's files are not what was written. Raises what else `read` does."""
        if self.damaged:
            return nothing
        try:
            return read()
        except (OSError, pa.ArrowException):
            if self.sound():
                raise
            return nothing

    def sound(self) -> bool:
        """Compare every file with what was written; a damaged block goes to quarantine, and False is the answer.

        For whoever reads `path` or `file` by other means and fails.
        """
        if self.removed:
            raise ValueError(f"cannot read block {self.name!r}: its view is closed")
        damage = None if self.damaged else self.find_damage()
        if damage is not None:
            self.damaged = True
            if self._on_damage is not None:
                self._on_damage(self, damage)
        return not self.damaged

    def find_damage(self) -> str | None:
        """What is wrong with the files by size and checksum, or None. Reads all of them."""
        for name, facts in self.meta.files.items():
            try:
                data = (self.folder / name).read_bytes()
            except OSError as e:
                return f"{name}: {e.strerror}"
            if len(data) != facts.bytes:
                return f"{name} has {len(data)} bytes instead of {facts.bytes}"
            if google_crc32c.value(data) != facts.crc32c:
                return f"{name} has another checksum than was written"
        return None


def _facts(path: Path) -> FileFacts:
    """Size and checksum of a file, read some at a time: a whole one would be held beside the rows it was made of."""
    size, checksum = 0, 0
    with path.open("rb", buffering=0) as file:
        while data := file.read(_READ_BYTES):
            size += len(data)
            checksum = google_crc32c.extend(checksum, data)
    return FileFacts(size, checksum)


def _read(path: Path, columns: list[str] | None, filters: Any, use_threads: bool, as_codes: bool) -> pa.Table:
    """Straight from the file where there is no filter: a dataset costs a millisecond more."""
    if filters is not None:
        return pq.read_table(path, columns=columns, filters=filters, use_threads=use_threads, partitioning=None)
    with pq.ParquetFile(path, read_dictionary=_texts_with_dictionary(path) if as_codes else None) as file:
        return file.read(columns=columns, use_threads=use_threads)


def _texts_with_dictionary(path: Path) -> list[str]:
    """The text columns that are stored with a dictionary, by the first row group."""
    metadata = pq.read_metadata(path)
    texts = {f.name for f in metadata.schema.to_arrow_schema() if pa.types.is_string(f.type)}
    group = metadata.row_group(0) if metadata.num_row_groups else None
    chunks = [group.column(i) for i in range(group.num_columns)] if group is not None else []
    return [c.path_in_schema for c in chunks if c.path_in_schema in texts and c.has_dictionary_page]


def describe(
    name: str,
    partition: str,
    generations: tuple[int, int],
    bounds: tuple[int, int],
    writer: BlockFolderWriter,
    items: str,
    extra: Mapping[str, Any],
    created_ns: int,
    replaces: Sequence[str] = (),
    rows_in: int = 0,
    erased: int = 0,
) -> BlockMeta:
    """The meta of what `writer` wrote; `items` is the table whose rows are counted."""
    return BlockMeta(
        name, partition, *generations, *bounds, writer.table_rows.get(items, 0), writer.table_rows,
        sum(writer.table_bytes.values()), writer.files, created_ns, tuple(replaces),
        {**extra, footers.FOOTERS: writer.footers, TABLE_BYTES: writer.table_bytes}, rows_in, erased,
    )  # fmt: skip
