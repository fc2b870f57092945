"""Readers of a block's records that stay open: opening one takes as long as reading a dozen columns of a few rows.

In: columns of a row group. Out: arrays; texts that lie there as codes come as codes. Safe to use from several threads,
each of which has a reader to itself meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


class Readers:
    """The readers of one file; there are never more than threads that read at one time."""

    def __init__(self, path: Path, metadata: pq.FileMetaData, types: dict[str, pa.DataType]) -> None:
        self._path, self._metadata = path, metadata
        self._coded = coded_texts(metadata, types)
        self._idle: list[pq.ParquetFile] = []

    def columns(self, group: int, names: Sequence[str]) -> list[pa.Array]:
        """Columns of a row group, each in one piece. Raises: OSError, pa.ArrowException."""
        try:
            file = self._idle.pop()
        except IndexError:
            # not mapped: reading a file that was cut short meanwhile is then an error, not the end of the process
            file = pq.ParquetFile(self._path, metadata=self._metadata, read_dictionary=self._coded)
        table = file.read_row_group(group, columns=list(names), use_threads=False)
        self._idle.append(file)
        return [_whole(table.column(name)) for name in names]


def coded_texts(metadata: pq.FileMetaData, types: dict[str, pa.DataType]) -> list[str]:
    """The texts that have a dictionary in the first row group; behind a column of several leaves that is not known."""
    if not metadata.num_row_groups:
        return []
    group = metadata.row_group(0)
    chunks = (group.column(i) for i in range(group.num_columns))
    coded = {chunk.path_in_schema for chunk in chunks if chunk.has_dictionary_page}
    return [name for name, kind in types.items() if pa.types.is_string(kind) and name in coded]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    array = column.combine_chunks()
    return array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)
