"""What is known of a block without reading its rows: footer, streams, times of row groups, token filters.

Blocks are immutable, so this is read once and kept for the most recently used ones.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import google_crc32c
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from obs.columnar.filenames import parquet_name
from obs.columnar.foundrows import FoundRows
from obs.logstore import limits
from obs.logstore.cells import Cells
from obs.logstore.fieldfile import FieldFile
from obs.logstore.filenames import CELL_NS, CELLS, FIELDS, RECORDS, STREAMS, TOKENS
from obs.logstore.names import STREAM_ID, attribute_columns
from obs.logstore.readers import Readers
from obs.logstore.streams import StreamTable
from obs.logstore.tokens import TokenIndex

log = logging.getLogger(__name__)
T = TypeVar("T")


class Block(Protocol):
    """The part of the engine's block that reading needs."""

    meta: Any

    @property
    def tombstones(self) -> Sequence[Any]:
        """Deletes that hide rows of it."""

    def path(self, table: str) -> Path | None:
        """The Parquet file of a table; None where it is empty."""

    def file(self, filename: str) -> Path:
        """An index file."""

    def read(self, table: str) -> pa.Table:
        """A whole table; a damaged one is quarantined and gives no rows."""


@dataclass(frozen=True, slots=True)
class BlockIndex:
    """One block: stream i owns rows first_row[i]:first_row[i+1]; row group g begins at row group_start[g]."""

    path: Path
    metadata: pq.FileMetaData
    columns: tuple[str, ...]
    types: dict[str, pa.DataType]  # of the columns
    attributes: dict[str, list[str]]  # label → columns
    streams: StreamTable
    first_row: npt.NDArray[np.int64]  # int64[streams + 1]
    stream_min: npt.NDArray[np.int64]
    stream_max: npt.NDArray[np.int64]
    group_start: npt.NDArray[np.int64]  # int64[row groups + 1]
    group_min: npt.NDArray[np.int64]
    group_max: npt.NDArray[np.int64]
    tokens: TokenIndex | None
    cells: Cells | None
    readers: Readers
    found: FoundRows
    fields: Callable[[], FieldFile | None]
    damaged: Callable[[], bool]

    @property
    def rows(self) -> int:
        """Rows of the block."""
        return int(self.group_start[-1])


class BlockIndexes:
    """The indexes of the blocks in use, by path; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, BlockIndex] = OrderedDict()
        self._found = FoundRows()
        self._lock = threading.Lock()

    def let_go(self, block: Block) -> None:
        """Close what is open of a block that was merged or is past retention, so that its space is free."""
        path = block.path(RECORDS)
        with self._lock:
            if path is not None:
                self._kept.pop(path, None)

    def get(self, block: Block) -> BlockIndex | None:
        """The index of a block, or None where it holds no records."""
        path = block.path(RECORDS)
        if path is None:
            return None
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
                return self._kept[path]
        try:
            index = read_index(path, block, self._found)
        except (OSError, pa.ArrowException):
            if is_damaged(block):
                return None
            raise
        with self._lock:
            self._kept[path] = index
            while len(self._kept) > limits.BLOCK_INDEXES_CACHED:
                self._kept.popitem(last=False)
        return index


def read_index(path: Path, block: Block, found: FoundRows | None = None) -> BlockIndex:
    """Read footer, streams and the head of the filters; `found`: where rows of line filters are remembered."""
    metadata = pq.read_metadata(path)
    schema = metadata.schema.to_arrow_schema()
    columns = tuple(schema.names)
    streams_path = block.path(STREAMS)
    if streams_path is None:
        raise FileNotFoundError(f"{path.parent}/{STREAMS}.parquet")
    with pq.ParquetFile(streams_path) as file:
        streams = file.read(use_threads=False).to_pydict()  # threads cost more than they save on so little
    starts, low, high = _group_ranges(metadata)
    types = dict(zip(schema.names, schema.types, strict=True))
    return BlockIndex(
        path=path,
        metadata=metadata,
        columns=columns,
        types=types,
        attributes=attribute_columns(columns),
        streams=StreamTable([(i, tuple(ls)) for i, ls in zip(streams[STREAM_ID], streams["labels"], strict=True)]),
        first_row=np.array([*streams["first_row"], starts[-1]], np.int64),
        stream_min=np.array(streams["min_ns"], np.int64),
        stream_max=np.array(streams["max_ns"], np.int64),
        group_start=starts,
        group_min=low,
        group_max=high,
        tokens=_tokens(block, metadata.num_row_groups),
        cells=_cells(block, int(starts[-1])),
        readers=Readers(path, metadata, types),
        found=found or FoundRows(),
        fields=cache(lambda: _fields(block, np.diff(starts).tolist())),
        damaged=lambda: is_damaged(block),
    )


def _group_ranges(
    metadata: pq.FileMetaData,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    at = [metadata.schema.column(i).path for i in range(metadata.num_columns)].index("time_ns")
    statistics = [g.column(at).statistics for g in groups]
    starts = np.cumsum([0, *(g.num_rows for g in groups)])
    return starts, np.array([s.min for s in statistics], np.int64), np.array([s.max for s in statistics], np.int64)


def is_damaged(block: Block) -> bool:
    """Whether the block's tables are not what was written; the engine then quarantines it. Asked after a failure."""
    return any(block.path(table) is not None and not block.read(table).num_rows for table in (RECORDS, STREAMS))


def _tokens(block: Block, row_groups: int) -> TokenIndex | None:
    """The filters, unless they are absent or damaged: wrong bits would hide records, no filter hides none."""
    return _beside(block, TOKENS, lambda path: TokenIndex(path), lambda index: index.row_groups == row_groups)


def _fields(block: Block, rows: list[int]) -> FieldFile | None:
    """What parsers find in the bodies, unless it is absent or damaged."""
    return _beside(block, parquet_name(FIELDS), FieldFile, lambda found: found.rows == rows)


def _cells(block: Block, rows: int) -> Cells | None:
    """The counts, unless they are absent or damaged."""
    width_ns = block.meta.extra.get(CELL_NS)
    if width_ns is None:
        return None

    def read(path: Path) -> Cells:
        with pq.ParquetFile(path) as file:
            return Cells.of_table(file.read(use_threads=False), int(width_ns))

    return _beside(block, parquet_name(CELLS), read, lambda cells: int(cells.end[-1]) == rows)


def _beside(block: Block, name: str, read: Callable[[Path], T], fits: Callable[[T], bool]) -> T | None:
    """A file of the block that only spares reading; None where it is absent or not what was written."""
    path, facts = block.file(name), block.meta.files.get(name)
    if facts is None:
        return None
    try:
        sound = google_crc32c.value(path.read_bytes()) == facts.crc32c
        found = read(path) if sound else None
    except (OSError, ValueError):
        found = None
    if found is None or not fits(found):
        log.error("cannot use %r: it is not what was written; the block's records are read instead", str(path))
        return None
    return found
