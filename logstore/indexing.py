"""Builds a block's filter file from its sorted rows: one filter a row group for body, attributes and trace ids.

Needs the kernels. While they are not compiled a block is written without the file and read by its text;
the next compaction adds it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs import warm
from obs.columnar.overflow import map_entries
from obs.logstore import limits
from obs.logstore.tokens import FOLD, GRAMS, HEX_DIGITS, SALTS, SYMBOL, encode_index
from obs.model.schema import OVERFLOW, parse_attribute_column

BODY, ATTRIBUTES, TRACES = "body", "attributes", "trace_id"
FIELDS = (BODY, ATTRIBUTES, TRACES)
_TEXT_COLUMNS = ("severity_text", "event_name", "scope_name", "scope_version")
_FIRST_TABLE = 1 << 14
_SAMPLE_ROWS = 512
KERNELS = "obs.logstore.kernels"

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]


def ready() -> bool:
    """Whether the kernels are compiled."""
    return warm.ready(KERNELS)


class IndexBuilder:
    """Makes the filter file of row groups that come one by one. Needs the kernels."""

    def __init__(self) -> None:
        self._fields: dict[str, list[npt.NDArray[np.uint32]]] = {name: [] for name in FIELDS}
        self._grams: list[Bytes] = []
        self._room = _FIRST_TABLE  # as many places as the row group before needed: growing hashes all words again

    def add(self, rows: pa.Table) -> None:
        """The next row group."""
        body = flat(rows.column("body"))
        self._grams.append(_gram_marks(body))
        words = _add(body, np.zeros(self._room, np.uint64))
        self._room = words.size
        self._fields[BODY].append(_filter(words))
        self._fields[ATTRIBUTES].append(_filter(_attribute_hashes(rows)))
        self._fields[TRACES].append(_filter(_trace_hashes(rows)))

    def encode(self) -> bytes:
        """The file."""
        return encode_index(self._fields, self._grams)


def searchable(columns: list[str]) -> list[str]:
    """The text columns beside the body: what a search over everything reads."""
    return [c for c in columns if c in _TEXT_COLUMNS or _is_text(c)]


def _is_text(column: str) -> bool:
    attribute = parse_attribute_column(column)
    return attribute is not None and attribute.type in ("str", "json") and column != OVERFLOW


def _attribute_hashes(rows: pa.Table) -> Hashes:
    table = _new_table()
    for name in searchable(rows.column_names):
        table = _add(_distinct(rows.column(name)), table)
    if OVERFLOW in rows.column_names:
        values = pa.chunked_array([map_entries(c)[1] for c in rows.column(OVERFLOW).chunks], pa.string())
        table = _add(flat(values), table)
    return table


def _trace_hashes(rows: pa.Table) -> Hashes:
    table = _new_table()
    if "trace_id" not in rows.column_names:
        return table
    ids = rows.column("trace_id").drop_null().combine_chunks()
    if not len(ids):
        return table
    from obs.logstore.kernels import id_hashes

    width = ids.type.byte_width
    raw = np.frombuffer(ids.buffers()[1], np.uint8)[ids.offset * width : (ids.offset + len(ids)) * width]
    return id_hashes(raw, width, HEX_DIGITS, table)


def _new_table() -> Hashes:
    return np.zeros(_FIRST_TABLE, np.uint64)


def flat(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    array = column.combine_chunks()
    return array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)


def _distinct(column: pa.ChunkedArray) -> pa.Array:
    """The values that occur, each once where they repeat: of a dictionary column only those its codes name."""
    array = flat(column)
    if not pa.types.is_dictionary(array.type):
        few = len(array.slice(0, _SAMPLE_ROWS).unique()) * 4 < _SAMPLE_ROWS
        return array.dictionary_encode().dictionary if few else array
    from obs.logstore.kernels import mark_codes

    codes = array.indices.drop_null() if array.indices.null_count else array.indices
    seen = np.zeros(len(array.dictionary), np.uint8)
    mark_codes(codes.to_numpy(), seen)
    return array.dictionary if seen.all() else array.dictionary.take(pa.array(np.flatnonzero(seen)))


def _add(array: pa.Array, table: Hashes) -> Hashes:
    data, offsets = text_buffers(array)
    return _add_raw(data, offsets, table)


def _add_raw(data: Bytes, offsets: npt.NDArray[np.int64], table: Hashes) -> Hashes:
    from obs.logstore.kernels import token_hashes

    return token_hashes(data, offsets, FOLD, table)


def _gram_marks(body: pa.Array) -> Bytes:
    from obs.logstore.kernels import trigrams

    seen = np.zeros(GRAMS, np.uint8)
    data, offsets = text_buffers(body)
    trigrams(data, offsets, SYMBOL, seen)
    return seen


def text_buffers(array: pa.Array) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """Bytes and int64 offsets of a string array (a null is empty); bytes are not copied."""
    _, offsets, data = array.buffers()
    if not len(array):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    at = np.frombuffer(offsets, np.int32, len(array) + 1, array.offset * 4).astype(np.int64)
    return np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8), at


def _filter(table: Hashes) -> npt.NDArray[np.uint32]:
    """A filter sized to the hashes in the set: uint32[blocks, 8]; none at all for no hash."""
    from obs.logstore.kernels import bloom_fill

    count = int(np.count_nonzero(table))
    words = np.zeros((-(-count * limits.TOKEN_FILTER_BITS // 256), 8), np.uint32)
    if count:
        bloom_fill(table, SALTS, words)
    return words
