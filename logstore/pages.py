"""Reads or searches a column of texts of a Parquet file by its pages: what Arrow's reader does, in half the time.

For what our own writer makes: PLAIN values without a dictionary in pages of version 1, compressed with zstd. Anything
else, and any column while the kernels are not compiled, is left to Arrow's reader.
Source: Apache Parquet, Encodings.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs import warm
from obs.columnar.pages import ColumnChunk, OtherKind, pages

KERNELS = "obs.logstore.kernels"
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
    except OtherKind:
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
    except OtherKind:
        return None
    count = int(found[0])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(texts)]
    return rows[:count], pa.Array.from_buffers(pa.string(), count, buffers, 0)


def has_plain_ids(chunk: Any) -> bool:
    """Whether a column chunk holds values of a fixed width as they are: those of some rows are found by place."""
    simple = chunk.compression == "UNCOMPRESSED" and not chunk.has_dictionary_page
    fixed = chunk.physical_type == "FIXED_LEN_BYTE_ARRAY" and set(chunk.encodings) <= {"PLAIN", "RLE"}
    return simple and fixed and warm.ready(KERNELS)


def read_ids(path: Path, chunk: Any, kind: pa.DataType, wanted: Index) -> pa.Array | None:
    """The values of some rows (rising) of such a column; None where a page is of another kind. Raises: OSError."""
    from obs.columnar.kernels_pages import levels

    width = kind.byte_width
    found, present = np.zeros((len(wanted), width), np.uint8), np.zeros(len(wanted), np.bool_)
    try:
        for row, until, page in _pages(path, chunk, wanted):
            if page is None:
                continue
            there = np.ones(until - row, np.uint8)
            at = levels(page, there)
            held = int(np.count_nonzero(there))
            if at < 0 or at + held * width > len(page):
                raise _broken(path)
            low, high = np.searchsorted(wanted, (row, until))
            rows = wanted[low:high] - row
            place = rows if held == len(there) else np.maximum(np.cumsum(there, dtype=np.int64) - 1, 0)[rows]
            present[low:high] = there[rows]
            if held:
                found[low:high] = page[at : at + held * width].reshape(held, width)[place]
    except OtherKind:
        return None
    nulls = len(wanted) - int(np.count_nonzero(present))
    validity = pa.array(present).buffers()[1] if nulls else None
    return pa.Array.from_buffers(kind, len(wanted), [validity, pa.py_buffer(found)], nulls)


def _broken(path: Path) -> OSError:
    return OSError(f"cannot read {str(path)!r}: a page ends within a value")


def _pages(path: Path, chunk: Any, wanted: Index | None) -> Iterator[tuple[int, int, Bytes | None]]:
    """The first row and the one after the last of each page, and what it holds: None where no row of it is wanted."""
    from obs.columnar.kernels_pages import PLAIN

    with path.open("rb") as file:
        for page in pages(file.fileno(), ColumnChunk.of(chunk)):
            if page.kind != PLAIN:
                raise OtherKind
            needed = wanted is None or np.searchsorted(wanted, page.first) < np.searchsorted(wanted, page.end)
            yield page.first, page.end, page.read() if needed else None
