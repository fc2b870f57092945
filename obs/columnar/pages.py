"""Pages of a column of a Parquet file: each read and unpacked by itself, and searched for a text as it then lies.

For what our own writer makes: pages of version 1, packed with zstd or not at all. Anything else is left to Arrow's
reader. Whoever calls has the kernels compiled. Source: Apache Parquet, Encodings.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_ENCODINGS = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY"}


class OtherKind(Exception):
    """A page that is read by Arrow's reader alone."""


@dataclass(frozen=True, slots=True)
class ColumnChunk:
    """Where a row group has a column, and what a footer says of it."""

    start: int
    packed_bytes: int
    bytes: int
    rows: int
    is_packed: bool

    @classmethod
    def of(cls, chunk: Any) -> ColumnChunk:
        """From the chunk's metadata in a footer."""
        start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
        packed = chunk.compression != "UNCOMPRESSED"
        return cls(start, chunk.total_compressed_size, chunk.total_uncompressed_size, chunk.num_values, packed)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows first:end of a chunk as they are encoded; of a dictionary none. Unpacked when it is read."""

    kind: int
    first: int
    end: int
    values: int
    packed: memoryview
    size_bytes: int
    codec: pa.Codec | None

    def read(self) -> Bytes:
        """What the page holds. Raises: OSError."""
        if self.codec is None or not self.size_bytes:
            page = np.frombuffer(self.packed[: self.size_bytes], np.uint8)
        else:
            page = np.frombuffer(self.codec.decompress(self.packed, self.size_bytes), np.uint8)
        page.flags.writeable = False  # one type for the kernels
        return page


def has_texts(footer: Any, group: int, leaf: int) -> bool:
    """Whether a row group's column holds texts, at most one a row, that `equal_texts` may look for."""
    column, chunk = footer.schema.column(leaf), footer.row_group(group).column(leaf)
    flat = column.max_definition_level == 1 and column.max_repetition_level == 0
    simple = chunk.compression in ("ZSTD", "UNCOMPRESSED") and chunk.physical_type == "BYTE_ARRAY"
    return flat and simple and set(chunk.encodings) <= _ENCODINGS


def equal_texts(file: int, chunk: ColumnChunk, text: bytes) -> Mask:
    """Which rows of a column of texts hold this one: bool[rows]; a dictionary without it ends the search of its codes.

    Raises: OtherKind, OSError where a page is broken.
    """
    from obs.columnar.kernels_pages import ABSENT, BROKEN, DICTIONARY, PLAIN, code_of, equal_codes, equal_plain

    hits, wanted = np.zeros(chunk.rows, np.bool_), np.frombuffer(text, np.uint8)
    code = BROKEN
    for page in pages(file, chunk):
        if page.kind == DICTIONARY:
            code = code_of(page.read(), page.values, wanted)
            continue
        if page.kind != PLAIN and code == ABSENT:
            continue
        there, part = np.ones(page.end - page.first, np.uint8), hits[page.first : page.end]
        if page.kind == PLAIN:
            sound = equal_plain(page.read(), there, wanted, part)
        else:
            sound = code >= 0 and equal_codes(page.read(), there, code, part)
        if not sound:
            raise broken()
    return hits


def broken() -> OSError:
    """What is raised for a page that says what cannot be."""
    return OSError("cannot read a column of a Parquet file: a page ends within a value")


def pages(file: int, chunk: ColumnChunk) -> Iterator[Page]:
    """The pages of a column, none of them unpacked. Raises: OtherKind, OSError."""
    from obs.columnar.kernels_pages import DICTIONARY, OTHER_KIND, PAGE_FIELDS
    from obs.columnar.kernels_pages import pages as places_of

    data = os.pread(file, chunk.packed_bytes, chunk.start)
    places = np.empty((chunk.rows + 1, PAGE_FIELDS), np.int64)
    count = places_of(np.frombuffer(data, np.uint8), chunk.rows, chunk.bytes, places)
    if count == OTHER_KIND:
        raise OtherKind
    if count < 0:
        raise OSError("cannot read a column of a Parquet file: the header of a page says what cannot be")
    codec, row = (pa.Codec("zstd") if chunk.is_packed else None), 0
    for at, packed, size, values, kind in places[:count].tolist():
        end = row if kind == DICTIONARY else row + values
        yield Page(kind, row, end, values, memoryview(data)[at : at + packed], size, codec)
        row = end
