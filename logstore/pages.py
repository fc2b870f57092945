"""Reads or searches a column of texts of a Parquet file by its pages: what Arrow's reader does, in half the time.

For what our own writer makes: PLAIN values without a dictionary in pages of version 1, compressed with zstd. Anything
else, and any column while the kernels are not compiled, is left to Arrow's reader.
Source: Apache Parquet, parquet.thrift (PageHeader) and Encodings.md; Apache Thrift, compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs import warm

KERNELS = "obs.logstore.kernels"
_PAGE_TYPE, _SIZE, _PACKED_SIZE, _DATA_HEADER = 1, 2, 3, 5
_VALUES, _ENCODING = 1, 2
_DATA_PAGE = _PLAIN = 0
_TRUE, _FALSE, _BYTE, _INTS, _BINARY, _STRUCT = 1, 2, 3, (4, 5, 6), 8, 12

Header = dict[int, Any]
Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]


def readable(chunk: Any) -> bool:
    """Whether a column chunk (its metadata) may be read here."""
    simple = chunk.compression == "ZSTD" and not chunk.has_dictionary_page and chunk.physical_type == "BYTE_ARRAY"
    fits = chunk.total_uncompressed_size < 1 << 31  # what an array's offsets reach
    return simple and fits and set(chunk.encodings) <= {"PLAIN", "RLE"} and warm.ready(KERNELS)


def read_texts(path: Path, chunk: Any, wanted: Index | None = None) -> pa.Array | None:
    """The texts of a column chunk: string[rows]; None where a page is of another kind. Raises: OSError.

    With `wanted` (rows, rising) pages without any of these are not read: their rows are empty texts.
    """
    from obs.logstore.kernels_text import plain_texts

    filled = 0
    offsets = np.zeros(chunk.num_values + 1, np.int32)
    there = np.ones(chunk.num_values, np.uint8)
    texts = np.empty(chunk.total_uncompressed_size, np.uint8)
    try:
        for row, until, page in _pages(path, chunk, wanted):
            if page is None:
                offsets[row + 1 : until + 1] = filled
                continue
            filled = plain_texts(page, offsets[row : until + 1], there[row:until], texts, filled)
            if filled < 0:
                raise _broken(path)
    except _OtherKind:
        return None
    nulls = chunk.num_values - int(np.count_nonzero(there))
    validity = pa.array(there.view(np.bool_)).buffers()[1] if nulls else None
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(texts)]
    return pa.Array.from_buffers(pa.string(), chunk.num_values, buffers, nulls)


def find_texts(path: Path, chunk: Any, needle: bytes, wanted: Index | None = None) -> tuple[Index, pa.Array] | None:
    """The texts of a column chunk that hold `needle` (not empty), and their rows; otherwise as `read_texts`.

    Pages are searched as they were decompressed, and only what was found is copied. With `wanted` pages without any of
    these rows are not searched.
    """
    from obs.logstore.kernels_text import texts_holding

    found, word = np.zeros(2, np.int64), np.frombuffer(needle, np.uint8)
    rows, offsets = np.empty(chunk.num_values, np.int64), np.zeros(chunk.num_values + 1, np.int32)
    texts = np.empty(chunk.total_uncompressed_size, np.uint8)
    try:
        for row, until, page in _pages(path, chunk, wanted):
            there = np.ones(until - row, np.uint8)
            if page is not None and not texts_holding(page, there, word, row, rows, offsets, texts, found):
                raise _broken(path)
    except _OtherKind:
        return None
    count = int(found[0])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(texts)]
    return rows[:count], pa.Array.from_buffers(pa.string(), count, buffers, 0)


class _OtherKind(Exception):
    """A page that is read by Arrow's reader alone."""


def _broken(path: Path) -> OSError:
    return OSError(f"cannot read {str(path)!r}: a page ends within a value")


def _pages(path: Path, chunk: Any, wanted: Index | None) -> Iterator[tuple[int, int, Bytes | None]]:
    """The first row and the one after the last of each page, and what it holds: None where no row of it is wanted."""
    with path.open("rb") as file:
        file.seek(chunk.data_page_offset)
        data = file.read(chunk.total_compressed_size)
    codec, at, row = pa.Codec("zstd"), 0, 0
    while row < chunk.num_values:
        header, at = _header(data, at)
        head = header.get(_DATA_HEADER)
        if header.get(_PAGE_TYPE) != _DATA_PAGE or not isinstance(head, dict) or head.get(_ENCODING) != _PLAIN:
            raise _OtherKind
        size, packed, rows = header.get(_SIZE, 0), header.get(_PACKED_SIZE, 0), head.get(_VALUES, 0)
        until = row + rows
        if not (
            0 < size <= chunk.total_uncompressed_size
            and 0 < packed <= len(data) - at
            and row < until <= chunk.num_values
        ):
            raise OSError(f"cannot read {str(path)!r}: a page's header has sizes that cannot be")
        page = None
        if wanted is None or np.searchsorted(wanted, row) < np.searchsorted(wanted, until):
            page = np.frombuffer(codec.decompress(memoryview(data)[at : at + packed], size), np.uint8)
            page.flags.writeable = False  # one type for the kernels
        yield row, until, page
        row, at = until, at + packed


def _header(data: bytes, at: int) -> tuple[Header, int]:
    """A page's header by field number, and where it ends. Raises: OSError."""
    try:
        return _struct(data, at)
    except (IndexError, RecursionError):
        raise OSError("cannot read a page's header: it is not Thrift's compact protocol") from None


def _struct(data: bytes, at: int) -> tuple[Header, int]:
    fields: Header = {}
    number = 0
    while data[at]:
        step, kind = data[at] >> 4, data[at] & 15
        at += 1
        if step:
            number += step
        else:
            number, at = _signed(data, at)
        if kind in (_TRUE, _FALSE):
            fields[number] = kind == _TRUE
        elif kind in _INTS:
            fields[number], at = _signed(data, at)
        elif kind == _BINARY:
            size, at = _varint(data, at)
            at += size
        elif kind == _STRUCT:
            fields[number], at = _struct(data, at)
        elif kind == _BYTE:
            at += 1
        else:
            raise IndexError(kind)
    return fields, at + 1


def _signed(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
