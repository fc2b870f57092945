"""Exemplars: rows of their own, kept as long as the samples. Small beside them, so plain Arrow does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.columnar.view import View
from obs.model.labels import Labels
from obs.model.schema import EXEMPLARS as SCHEMA
from obs.tsdb.filenames import EXEMPLARS
from obs.tsdb.index import SeriesIndex
from obs.tsdb.rows import whole
from obs.tsdb.tombstones import without


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One exemplar of a series."""

    labels: Labels
    t_ms: int
    value: float


def ordinals(table: pa.Table, index: SeriesIndex) -> npt.NDArray[np.int32]:
    """The series of each row, -1 where it is unknown."""
    if not table.num_rows:
        return np.empty(0, np.int32)
    return index.ordinals(whole(table.column("series_id")))


def in_order(table: pa.Table, rank: npt.NDArray[np.int32]) -> pa.Table:
    """Rows by (rank, time); those of rank -1 left out, and what came twice kept once."""
    table = table.select(SCHEMA.names).append_column("rank", pa.array(rank)).append_column("text", _texts(table))
    table = table.append_column("row", pa.array(np.arange(len(rank)))).filter(pa.array(rank >= 0))
    once = table.group_by(["rank", "t_ms", "value", "text"]).aggregate([("row", "max")])
    kept = table.filter(pc.is_in(table["row"], once["row_max"]))
    order = pc.sort_indices(kept, [("rank", "ascending"), ("t_ms", "ascending"), ("row", "ascending")])
    return kept.take(order).select(SCHEMA.names)


def _texts(table: pa.Table) -> pa.ChunkedArray:
    """Each row's labels as one text, to be compared."""
    return pa.chunked_array([_text(chunk) for chunk in table.column("labels").chunks], pa.string())


def _text(labels: pa.MapArray) -> pa.Array:
    entries = slice(labels.offsets[0].as_py(), labels.offsets[-1].as_py()) if len(labels) else slice(0, 0)
    pairs = pc.binary_join_element_wise(labels.keys[entries], labels.items[entries].fill_null(""), "\x1f")
    offsets = pc.subtract(labels.offsets, entries.start)
    return pc.binary_join(pa.ListArray.from_arrays(offsets, pairs), "\x1e")


def read(
    view: View, index: SeriesIndex, chosen: npt.NDArray[np.bool_], start_ms: int, end_ms: int
) -> dict[int, list[Exemplar]]:
    """Exemplars by ordinal of the chosen series, in order of time; start..end inclusive."""
    found: dict[int, dict[Exemplar, None]] = {}
    for table in _tables(view, start_ms, end_ms):
        for ordinal, exemplar in _rows(table, index, chosen, start_ms, end_ms):
            found.setdefault(ordinal, {})[exemplar] = None
    return {ordinal: sorted(rows, key=lambda e: e.t_ms) for ordinal, rows in found.items()}


def _tables(view: View, start_ms: int, end_ms: int) -> Iterable[pa.Table]:
    for block in view.blocks:
        if block.meta.max_ns >= start_ms * 1_000_000 and block.meta.min_ns <= end_ms * 1_000_000:
            yield without(block.read(EXEMPLARS), block.tombstones)
    yield view.head(EXEMPLARS)


def _rows(
    table: pa.Table, index: SeriesIndex, chosen: npt.NDArray[np.bool_], start_ms: int, end_ms: int
) -> Iterable[tuple[int, Exemplar]]:
    of_row = ordinals(table, index)
    if not len(of_row):
        return
    t_ms = whole(table.column("t_ms"))
    inside = (of_row >= 0) & (of_row < len(chosen)) & (t_ms >= start_ms) & (t_ms <= end_ms)
    inside[inside] = chosen[of_row[inside]]
    rows = table.filter(pa.array(inside))
    columns = zip(*(rows.column(name).to_pylist() for name in ("labels", "t_ms", "value")), strict=True)
    for ordinal, (labels, t, value) in zip(of_row[inside].tolist(), columns, strict=True):
        yield ordinal, Exemplar(tuple(labels or ()), t, value)
