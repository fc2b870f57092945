"""A table's rows in another order, some at a time: no second copy of the whole is made.

In: a table of many chunks, as a head or blocks that are merged have it, and the order of its rows. Out: tables of some
rows each, every column one array. While the kernels are not compiled Arrow picks rows, from columns in one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs import warm
from obs.logstore import limits

KERNELS = "obs.logstore.kernels"
_CODE_BYTES = 4
Index = npt.NDArray[np.int64]
Chunks = npt.NDArray[np.int32]
Pick = Callable[[Index, Chunks], pa.Array]
"""Rows, and the chunk that each is in → their values."""


class OrderedRows:
    """The rows of a table at `order`."""

    def __init__(self, table: pa.Table, order: Index) -> None:
        self._table, self._order = table, order
        self._picks: list[Pick] | None = None
        lengths = [len(chunk) for chunk in table.column(0).chunks] if table.num_columns else []
        self._starts = np.cumsum([0, *lengths])
        self._chunk_of = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)

    def __len__(self) -> int:
        return len(self._order)

    def slice(self, start: int, end: int) -> pa.Table:
        """The rows at order[start:end]; a dictionary of many values holds those that occur."""
        if self._picks is None:
            self._picks = [_picker(self._table.column(i), self._starts) for i in range(self._table.num_columns)]
        rows = self._order[start:end]
        chunks = self._chunk_of[rows]
        return pa.table([_narrow(pick(rows, chunks)) for pick in self._picks], schema=self._table.schema)

    def parts(self, rows: int) -> Iterator[pa.Table]:
        """All of them, so many rows at a time."""
        for start in range(0, len(self._order), rows):
            yield self.slice(start, min(start + rows, len(self._order)))


def _narrow(array: pa.Array) -> pa.Array:
    """A dictionary with the values that occur where it has many: Parquet writes the dictionary of a row group whole."""
    if not pa.types.is_dictionary(array.type) or len(array.dictionary) <= limits.SHARED_DICTIONARY_VALUES:
        return array
    return array.cast(array.type.value_type).dictionary_encode().cast(array.type)


def _picker(column: pa.ChunkedArray, starts: npt.NDArray[np.int64]) -> Pick:
    if column.null_count == len(column):
        return lambda rows, chunks: pa.nulls(len(rows), column.type)
    coded, text, width = pa.types.is_dictionary(column.type), pa.types.is_string(column.type), _width(column.type)
    laid_alike = [len(chunk) for chunk in column.chunks] == np.diff(starts).tolist()
    if not laid_alike or not warm.ready(KERNELS) or not (width or text):
        return _by_arrow(column.unify_dictionaries() if coded else column)
    make = _coded if coded else _texts if text else _fixed
    values = make(column, starts)
    if not column.null_count:
        return values
    there = column.is_valid().to_numpy()

    def with_nulls(rows: Index, chunks: Chunks) -> pa.Array:
        array = values(rows, chunks)
        present = there[rows]
        validity = pa.array(present).buffers()[1]
        nulls = len(rows) - int(np.count_nonzero(present))
        if pa.types.is_dictionary(array.type):
            codes = array.indices
            codes = pa.Array.from_buffers(codes.type, len(rows), [validity, codes.buffers()[1]], nulls)
            return pa.DictionaryArray.from_arrays(codes, array.dictionary, safe=False)
        return pa.Array.from_buffers(array.type, len(rows), [validity, *array.buffers()[1:]], nulls)

    return with_nulls


def _width(kind: pa.DataType) -> int:
    """The bytes of a value, or of its code; 0 where they differ or are no whole ones."""
    if pa.types.is_dictionary(kind):
        return _CODE_BYTES if kind.index_type == pa.int32() else 0
    fixed = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_fixed_size_binary(kind)
    return int(kind.bit_width) // 8 if fixed else 0


def _by_arrow(column: pa.ChunkedArray) -> Pick:
    whole = column.combine_chunks()
    whole = whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)
    return lambda rows, chunks: whole.take(pa.array(rows))


def _fixed(column: pa.ChunkedArray, starts: npt.NDArray[np.int64]) -> Pick:
    from obs.logstore.kernels_rows import pick_fixed

    width = _width(column.type)
    bases = _addresses(column.chunks, 1, width) - starts[:-1] * width

    def pick(rows: Index, chunks: Chunks) -> pa.Array:
        out = np.empty(len(rows) * width, np.uint8)
        pick_fixed(rows, bases[chunks], width, width, out)
        return pa.Array.from_buffers(column.type, len(rows), [None, pa.py_buffer(out)], 0)

    return pick


def _coded(column: pa.ChunkedArray, starts: npt.NDArray[np.int64]) -> Pick:
    """Codes of one dictionary: those of the chunks are put together, without making the codes of all rows anew."""
    from obs.logstore.kernels_rows import pick_fixed

    bases = _addresses([chunk.indices for chunk in column.chunks], 1, _CODE_BYTES) - starts[:-1] * _CODE_BYTES
    sizes = np.array([len(chunk.dictionary) for chunk in column.chunks], np.int64)
    each = [pa.array(np.arange(size, dtype=np.int32)) for size in sizes]
    pairs = zip(each, column.chunks, strict=True)
    one = pa.chunked_array([pa.DictionaryArray.from_arrays(codes, chunk.dictionary) for codes, chunk in pairs])
    one = one.unify_dictionaries()
    first = np.cumsum(sizes) - sizes
    codes = np.concatenate([*(chunk.indices.to_numpy() for chunk in one.chunks), np.zeros(1, np.int32)])

    def pick(rows: Index, chunks: Chunks) -> pa.Array:
        own = np.empty(len(rows), np.int32)
        pick_fixed(rows, bases[chunks], _CODE_BYTES, _CODE_BYTES, own.view(np.uint8))
        if column.null_count:  # the code of a null may be anything
            own = np.clip(own, 0, np.maximum(sizes[chunks] - 1, 0))
        return pa.DictionaryArray.from_arrays(pa.array(codes[first[chunks] + own]), one.chunk(0).dictionary, safe=False)

    return pick


def _texts(column: pa.ChunkedArray, starts: npt.NDArray[np.int64]) -> Pick:
    from obs.logstore.kernels_rows import pick_fixed, pick_texts, text_ends

    ends = _addresses(column.chunks, 1, 4) - starts[:-1] * 4
    texts = _addresses(column.chunks, 2, 0)

    def pick(rows: Index, chunks: Chunks) -> pa.Array:
        spans, offsets = np.empty(2 * len(rows), np.int32), np.zeros(len(rows) + 1, np.int32)
        pick_fixed(rows, ends[chunks], 4, 8, spans.view(np.uint8))
        size = int(text_ends(spans, offsets))
        if size < 0:
            raise ValueError("cannot write a row group of more than 2 GB of text")
        out = np.empty(size, np.uint8)
        pick_texts(texts[chunks], spans, offsets, out)
        return pa.Array.from_buffers(column.type, len(rows), [None, pa.py_buffer(offsets), pa.py_buffer(out)], 0)

    return pick


def _addresses(arrays: list[pa.Array], buffer: int, width: int) -> npt.NDArray[np.int64]:
    """Where the values of each array begin in memory."""
    buffers = (array.buffers()[buffer] for array in arrays)
    places = [0 if found is None else found.address for found in buffers]
    return np.array(places, np.int64) + np.array([array.offset * width for array in arrays], np.int64)
