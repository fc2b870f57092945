"""Parquet: the columns of CSV in any of their types, what `obs export` writes, or a block's own layout.

Batches are read one after the other. Label columns are dictionaries, so that Python sees each label set once a batch.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from obs.errors import UserError
from obs.interchange import csv_rows
from obs.interchange.faults import Faults, Unreadable
from obs.interchange.limits import PIECE_SAMPLES
from obs.interchange.pieces import HISTOGRAM, I64, LabelSets, Piece
from obs.interchange.sources import Source
from obs.interchange.times import read_time, whole_times
from obs.model.labels import Labels

HISTOGRAM_COLUMN = "histogram"


def read(source: Source, sets: LabelSets, faults: Faults) -> Iterator[Piece]:
    """Pieces of the samples; rows without a time, a value or labels go to `faults`. Raises: UserError."""
    with _seekable(source) as file, source.readable():
        parquet = open_parquet(file, source.name)
        names = [name for name in parquet.schema_arrow.names if name != HISTOGRAM_COLUMN]
        rows = _Rows(source.name, names, sets, faults)
        for batch in parquet.iter_batches(PIECE_SAMPLES):
            source.read_share(batch.num_rows / parquet.metadata.num_rows)
            yield rows.piece(batch)


def open_parquet(file: Any, name: str) -> pq.ParquetFile:
    """A file, its text columns as dictionaries. Raises: UserError."""
    try:
        texts = [f.name for f in pq.read_schema(file) if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        return pq.ParquetFile(file, read_dictionary=texts)
    except pa.ArrowException as e:
        raise UserError(f"cannot read {name!r}: {e}; is it a whole Parquet file?") from None


@contextmanager
def _seekable(source: Source) -> Iterator[IO[bytes]]:
    """Parquet is read from its end: what comes through a pipe or is compressed goes into a temporary file first."""
    if source.path is not None and source.is_plain:
        with source.path.open("rb") as plain:
            yield plain
        return
    with tempfile.TemporaryFile() as spooled, source.readable():
        shutil.copyfileobj(source.stream, spooled, 1 << 20)
        spooled.seek(0)
        yield spooled


@dataclass(slots=True)
class _Rows:
    """One file's batches as pieces."""

    file: str
    names: Sequence[str]
    sets: LabelSets
    faults: Faults
    seen: int = 0

    def piece(self, batch: pa.RecordBatch) -> Piece:
        """The rows that are samples."""
        columns = csv_rows.header(self.file, self.names)
        at = {name: batch.column(name) for name in batch.schema.names}
        time, value = at[self.names[columns.time]], at["value"]
        hists = at.get(HISTOGRAM_COLUMN)
        given = value.is_valid() if hists is None else pc.or_(value.is_valid(), hists.is_valid())
        good = np.array(pc.and_(time.is_valid(), given))
        self._count(~good, Unreadable("row", "null", "it has no time or no value"))
        parts = [_pairs(name, at[self.names[i]]) for i, name in columns.labels]
        if columns.json is not None:
            parts.append(_label_sets(at["labels"]))
        which, pairs = _joined(parts, batch.num_rows)
        series, places = self._labels(pairs, which, good)
        good &= places[which] >= 0
        self.seen += batch.num_rows
        kept = np.flatnonzero(good)
        times = _times(time.filter(pa.array(good)), columns.unit)
        values = value.filter(pa.array(good)).cast(pa.float64(), safe=False).fill_null(0.0).to_numpy()
        return Piece(series, places[which[kept]], times, values, _histograms(hists, good))

    def _labels(self, pairs: list[Any], which: I64, good: Any) -> tuple[list[Labels], I64]:
        """Label sets, and which of them each of `pairs` is; -1 where it is none."""
        series: list[Labels] = []
        places = np.full(len(pairs), -1)
        for i, given in enumerate(pairs):
            try:
                labels = self.sets.make(_flat(given))
            except Unreadable as e:
                self._count((which == i) & good, e)
                continue
            places[i] = len(series)
            series.append(labels)
        return series, places

    def _count(self, bad: Any, fault: Unreadable) -> None:
        for row in np.flatnonzero(bad).tolist():
            self.faults.add(self.file, self.seen + row + 1, fault)


def _flat(parts: Sequence[Any]) -> list[tuple[str, str]]:
    """The pairs of each part of a key: of one column, or of all labels at once. Raises: Unreadable."""
    found: list[tuple[str, str]] = []
    for part in parts:
        found += csv_rows.json_pairs(part) if isinstance(part, str) else part
    return found


def _pairs(name: str, column: pa.Array) -> tuple[I64, list[Any]]:
    """A label's column as a number for each row, and what each number stands for."""
    numbers, values = _numbered(column if pa.types.is_dictionary(column.type) else column.cast(pa.string()))
    return numbers, [[(name, value)] if value else [] for value in values]


def _label_sets(column: pa.Array) -> tuple[I64, list[Any]]:
    """The same for a column of whole label sets: JSON text, a map or a struct."""
    if pa.types.is_map(column.type) or pa.types.is_struct(column.type):
        given = column.to_pylist()
        sets = [tuple((v or {}).items() if isinstance(v, dict) else v or ()) for v in given]
        places = {labels: i for i, labels in enumerate(dict.fromkeys(sets))}
        known = [[(name, value) for name, value in labels if value] for labels in places]
        return np.array([places[labels] for labels in sets], np.int64), known
    numbers, values = _numbered(column)
    return numbers, [value or [] for value in values]


def _numbered(column: pa.Array) -> tuple[I64, list[Any]]:
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    numbers = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers, [*coded.dictionary.to_pylist(), None]


def _joined(parts: Sequence[tuple[I64, list[Any]]], rows: int) -> tuple[I64, list[Any]]:
    """One number a row for all columns together, and the parts that each number stands for."""
    key = np.zeros(rows, np.int64)
    first = np.zeros(min(rows, 1), np.int64)
    for numbers, values in parts:
        _, first, key = np.unique(key * len(values) + numbers, return_index=True, return_inverse=True)
    return key, [[values[numbers[row]] for numbers, values in parts] for row in first.tolist()]


def _times(column: pa.Array, unit: str | None) -> I64:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return whole_times(column.cast(pa.int64()).to_numpy(), kind.unit)
    if pa.types.is_integer(kind):
        return whole_times(column.cast(pa.int64()).to_numpy(), unit)
    if pa.types.is_dictionary(kind):
        return np.array([read_time(text, unit) for text in column.to_pylist()], np.int64)
    return np.array([read_time(repr(number), unit) for number in column.cast(pa.float64()).to_pylist()], np.int64)


def _histograms(column: pa.Array | None, good: Any) -> pa.StructArray | None:
    """Native histograms as pieces have them; None where there is none."""
    if column is None or column.null_count == len(column):
        return None
    kept = column.filter(pa.array(good))
    return kept.cast(HISTOGRAM) if kept.null_count < len(kept) else None
