"""Reads times and integers of a row group of samples by their pages: what Arrow's reader does, in fewer steps.

For what our own writer makes: DELTA_BINARY_PACKED values without nulls in pages of version 1, compressed with zstd.
None is the answer for anything else, and while the kernels are not compiled; it is then left to Arrow's reader.
Source: Apache Parquet, parquet.thrift and Encodings.md.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
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

MOST_PAGES = 1024
"""Pages of a column that hold what is read; a writer's have 20,000 rows or a megabyte each."""


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


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of a column that hold some rows."""

    found: I64  # int64[page, PAGE_FIELDS], see `kernels_pages.pages_with`
    begin: int  # the first row of the first page
    unpacked: int  # bytes of all, unpacked

    @classmethod
    def of(cls, chunk: npt.NDArray[np.uint8], rows: int, first: int, stop: int) -> Pages | None:
        """None where one is of another kind."""
        from obs.tsdb.kernels_pages import PAGE_FIELDS, pages_with

        found = np.empty((min(stop - first, MOST_PAGES), PAGE_FIELDS), np.int64)
        count, begin, unpacked = pages_with(chunk, rows, first, stop, found)
        return None if count < 0 else cls(found[:count], begin, unpacked)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Times and integers of some rows, unpacked: to decode them takes no interpreter."""

    body: pa.Buffer
    columns: tuple[Pages, Pages]  # whose pages lie behind each other
    first: int
    stop: int

    def decoded(self) -> tuple[I64, I64] | None:
        """The times and the integers; None where a page is broken."""
        from obs.tsdb.kernels_pages import decode

        times, ints = np.empty(self.stop - self.first, np.int64), np.empty(self.stop - self.first, np.int64)
        address = self.body.address
        for pages, out in zip(self.columns, (times, ints), strict=True):
            if not decode(address, pages.found, pages.begin, self.first, out):
                return None
            address += pages.unpacked
        return times, ints


def read(file: int, found: Place, first: int = 0, stop: int | None = None) -> tuple[I64, I64] | None:
    """The times and the integers of rows first:stop of a row group; None where a page is of another kind.

    Raises: OSError.
    """
    columns = unpacked(file, found, first, found.rows if stop is None else stop)
    return None if columns is None else columns.decoded()


def unpacked(file: int, found: Place, first: int, stop: int) -> Unpacked | None:
    """What `read` gives, still to be decoded; None as there. Raises: OSError."""
    if not 0 < found.start <= found.start + found.bounds[1] < found.start + found.bounds[2] <= os.fstat(file).st_size:
        return None
    whole = np.frombuffer(os.pread(file, found.bounds[-1], found.start), np.uint8)
    chunks = [whole[begin:end] for begin, end in pairwise(found.bounds)]
    times, ints = (Pages.of(chunk, found.rows, first, stop) for chunk in chunks)
    if times is None or ints is None:
        return None
    body = _body(chunks, (times, ints))
    return None if body is None else Unpacked(body, (times, ints), first, stop)


def _body(chunks: Sequence[npt.NDArray[np.uint8]], columns: tuple[Pages, Pages]) -> pa.Buffer | None:
    """All pages in one go, which costs hardly more than a single one; None where one is damaged or packed otherwise."""
    frames = [
        chunk[at : at + length].data
        for chunk, pages in zip(chunks, columns, strict=True)
        for at, length in pages.found[:, :2].tolist()
    ]
    try:
        return pa.Codec("zstd").decompress(b"".join(frames), columns[0].unpacked + columns[1].unpacked)
    except OSError:
        return None
