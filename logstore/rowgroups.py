"""Row groups of blocks as chunks: a column is read when it is asked for, and of a few rows no more than they need."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from obs.logstore.blockindex import BlockIndex
from obs.logstore.chunks import Chunk, Index
from obs.logstore.linefields import LineFields
from obs.logstore.pages import find_texts, has_plain_ids, read_ids, read_texts, readable


def group_chunk(index: BlockIndex, group: int) -> Chunk:
    """Row group `group` of a block."""
    start, end = int(index.group_start[group]), int(index.group_start[group + 1])

    def load(name: str) -> pa.Array:
        if name == "body":
            texts = group_texts(index, group)
            if texts is not None:
                return texts
        return load_many([name])[0]

    def load_many(names: Sequence[str]) -> list[pa.Array]:
        found = zip(names, index.readers.columns(group, names), strict=True)
        return [_typed(array, index.types[name]) for name, array in found]

    def stream_of() -> Index:
        first = int(np.searchsorted(index.first_row, start, side="right")) - 1
        last = int(np.searchsorted(index.first_row, end, side="left"))
        edges = np.clip(index.first_row[first : last + 1], start, end)
        return np.repeat(np.arange(first, last), np.diff(edges))

    bounds = (int(index.group_min[group]), int(index.group_max[group]))
    return Chunk(
        load, index.columns, index.attributes, index.streams, stream_of, bounds, end - start, index.damaged,
        load_many=load_many, some_texts=lambda rows: group_texts_at(index, group, rows),
        load_some=lambda names, rows: group_rows(index, group, names, rows),
        find_texts=lambda needle, rows: group_texts_holding(index, group, needle, rows),
        remembered=partial(index.found.get, index.path, group), remember=partial(index.found.put, index.path, group),
        line_fields=lambda parser, labels: group_fields(index, group, parser, labels),
    )  # fmt: skip


def group_fields(index: BlockIndex, group: int, parser: str, labels: Sequence[str]) -> LineFields | None:
    """What a parser finds in the bodies of a row group, where the block keeps it. Raises: OSError."""
    fields = index.fields()
    return None if fields is None else fields.group(group, parser, labels)


def group_rows(index: BlockIndex, group: int, names: Sequence[str], rows: Index) -> dict[str, pa.Array]:
    """Columns of a few rows of a row group: texts that lie there as codes are read so, and made for the rows alone."""
    order = np.argsort(rows, kind="stable")
    by_place = {name: array for name in names if (array := _ids(index, group, name, rows[order])) is not None}
    others = [name for name in names if name not in by_place]
    at, back = pa.array(rows), pa.array(np.argsort(order))
    found = zip(others, index.readers.columns(group, others) if others else [], strict=True)
    read = {name: _typed(array.take(at), index.types[name]) for name, array in found}
    return read | {name: array.take(back) for name, array in by_place.items()}


def _ids(index: BlockIndex, group: int, name: str, rows: Index) -> pa.Array | None:
    """The ids of some rows (rising) by their places in the file, where a column has such."""
    kind, place = index.types[name], index.columns.index(name)
    column = index.metadata.schema.column(place)
    if not pa.types.is_fixed_size_binary(kind) or column.path != name or column.max_definition_level != 1:
        return None
    chunk = index.metadata.row_group(group).column(place)
    return read_ids(index.path, chunk, kind, rows) if has_plain_ids(chunk) else None


def _typed(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array if array.type == kind else array.cast(kind)


def group_texts(index: BlockIndex, group: int) -> pa.Array | None:
    """The bodies of a row group, where they may be read by their pages. Raises: OSError."""
    chunk = index.metadata.row_group(group).column(index.columns.index("body"))
    return read_texts(index.path, chunk) if readable(chunk) else None


def group_texts_at(index: BlockIndex, group: int, rows: Index) -> pa.Array | None:
    """The bodies of some rows of a row group, in their order."""
    chunk = index.metadata.row_group(group).column(index.columns.index("body"))
    texts = read_texts(index.path, chunk, np.sort(rows)) if readable(chunk) else None
    return None if texts is None else texts.take(pa.array(rows))


def group_texts_holding(index: BlockIndex, group: int, needle: bytes, rows: Index) -> tuple[Index, pa.Array] | None:
    """The bodies of a row group that hold a text, with their rows: where pages are searched, those with `rows` only."""
    chunk = index.metadata.row_group(group).column(index.columns.index("body"))
    if not readable(chunk):
        return None
    return find_texts(index.path, chunk, needle, None if len(rows) == chunk.num_values else np.sort(rows))
