"""Reads times and integers of a row group of samples by their pages: what Arrow's reader does, in fewer steps.

For what our own writer makes: DELTA_BINARY_PACKED values without nulls in pages of version 1, compressed with zstd.
None is the answer for anything else, and while the kernels are not compiled; it is then left to Arrow's reader.
Source: Apache Parquet, parquet.thrift and Encodings.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.tsdb.compiled import kernels

I64 = npt.NDArray[np.int64]

TIME, INTEGER = 1, 2
"""The columns of samples.parquet that are read here."""

_DATA_PAGE, _DELTAS = 0, 5
_LEVELS_SIZE = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row group has its times and, behind them, its integers."""

    start: int
    bounds: tuple[int, int, int]  # of the two columns, from `start` on
    rows: int


def place(footer: Any, group: int) -> Place | None:
    """Where the columns of a row group lie; None where they are not for this reader."""
    if kernels() is None:
        return None
    row_group = footer.row_group(group)
    times, ints = row_group.column(TIME), row_group.column(INTEGER)
    if not (_is_simple(times) and _is_simple(ints)):
        return None
    if footer.schema.column(TIME).max_definition_level != 1 or footer.schema.column(INTEGER).max_definition_level != 1:
        return None
    start, middle = times.data_page_offset, ints.data_page_offset
    ends = (start + times.total_compressed_size, middle + ints.total_compressed_size)
    return Place(start, (0, middle - start, ends[1] - start), row_group.num_rows) if ends[0] == middle else None


def _is_simple(chunk: Any) -> bool:
    """As far as a footer tells. What packs the pages is not asked: a damaged footer may name what Arrow aborts at."""
    statistics = chunk.statistics
    has_no_nulls = statistics is not None and statistics.null_count == 0
    return has_no_nulls and not chunk.has_dictionary_page and chunk.physical_type == "INT64"


def read(file: int, found: Place, first: int = 0, stop: int | None = None) -> tuple[I64, I64] | None:
    """The times and the integers of rows first:stop of a row group; None where a page is of another kind.

    Raises: OSError.
    """
    if not 0 < found.start <= found.start + found.bounds[1] < found.start + found.bounds[2] <= os.fstat(file).st_size:
        return None
    whole = np.frombuffer(os.pread(file, found.bounds[-1], found.start), np.uint8)
    stop = found.rows if stop is None else stop
    columns = [np.empty(stop - first, np.int64), np.empty(stop - first, np.int64)]
    for out, (begin, end) in zip(columns, pairwise(found.bounds), strict=True):
        if not _filled(whole[begin:end], found.rows, out, first):
            return None
    return columns[0], columns[1]


def _filled(chunk: npt.NDArray[np.uint8], rows: int, out: I64, first: int) -> bool:
    """Decode the pages of a column that hold rows of `out`, which begins at row `first`."""
    from obs.columnar.kernels_headers import HEADER_FIELDS, page_header

    codec, found = pa.Codec("zstd"), np.empty(HEADER_FIELDS, np.int64)
    at = row = 0
    stop = first + len(out)
    while row < stop:
        at = page_header(chunk, at, found)
        kind, size, packed, values, encoding = found.tolist()
        if at < 0 or kind != _DATA_PAGE or encoding != _DELTAS or not 0 < values <= rows - row:
            return False
        if not (_LEVELS_SIZE < size <= 32 * rows + 4096 and 0 < packed <= len(chunk) - at):
            return False
        if row + values > first:
            inside = row >= first and row + values <= stop
            target = out[row - first : row - first + values] if inside else np.empty(values, np.int64)
            page = _unpacked(codec, chunk[at : at + packed], size)
            if page is None or not _decoded(page, target):
                return False
            if not inside:
                low, high = max(row, first), min(row + values, stop)
                out[low - first : high - first] = target[low - row : high - row]
        at += packed
        row += values
    return True


def _unpacked(codec: pa.Codec, packed: npt.NDArray[np.uint8], size: int) -> pa.Buffer | None:
    """A page; None of one that is damaged, or packed by other means."""
    try:
        return codec.decompress(packed, size)
    except OSError:
        return None


def _decoded(data: pa.Buffer, out: I64) -> bool:
    """Decode a page: its levels, which say that no value is null, then the values."""
    from obs.tsdb import kernels_pages

    words = np.zeros(data.size // 8 + 3, np.uint64)
    page = words.view(np.uint8)
    page[: data.size] = np.frombuffer(data, np.uint8)
    begin = _LEVELS_SIZE + int(page[:_LEVELS_SIZE].view(np.uint32)[0])
    return begin <= data.size and kernels_pages.deltas(words, page, begin, data.size, out) >= 0
