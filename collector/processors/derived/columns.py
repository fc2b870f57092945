"""Columns of a batch of spans as processors read them: codes with their texts, durations, weights, ids as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.collector.processors.derived.state import Floats, Ints
from obs.model.schema import ATTRIBUTE_TYPES, attribute_column

WEIGHT = "sampling.weight"
"""The span attribute that says how many spans this one stands for."""

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Coded:
    """A text column: row i says `texts[codes[i]]`."""

    codes: Ints
    texts: list[str]

    @property
    def with_size(self) -> tuple[Ints, int]:
        """As `grouped` takes it."""
        return self.codes, max(len(self.texts), 1)


def text_column(spans: pa.RecordBatch, name: str) -> pa.Array | None:
    """A column by name, if it is there."""
    at = spans.schema.get_field_index(name)
    return None if at < 0 else spans.column(at)


def coded(column: pa.Array | None, rows: int) -> Coded:
    """A text column; null is empty."""
    if column is None:
        return Coded(np.zeros(rows, np.int64), [""])
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    texts = [text or "" for text in column.dictionary.to_pylist()]
    codes = column.indices
    if column.null_count:
        codes, texts = codes.fill_null(len(texts)), [*texts, ""]
    return Coded(codes.to_numpy(zero_copy_only=False).astype(np.int64), texts)


def attribute(spans: pa.RecordBatch, key: str, scopes: tuple[str, ...] = ("attr", "resource")) -> pa.Array | None:
    """An attribute as text, of the span before the resource, whatever its type; None where no span has it."""
    found = None
    for scope in scopes:
        for type_ in ATTRIBUTE_TYPES:
            column = text_column(spans, attribute_column(scope, key, type_))
            if column is not None and type_ != "bytes":
                column = column.cast(pa.string())
                found = column if found is None else pc.coalesce(found, column)
    return found


def durations_s(spans: pa.RecordBatch) -> Floats:
    """Ends minus starts, at least 0."""
    start, end = (spans.column(name).to_numpy(zero_copy_only=False) for name in ("start_ns", "end_ns"))
    return np.maximum(end - start, 0) / 1e9


def weights(spans: pa.RecordBatch) -> Floats:
    """How many spans each stands for: 1, unless it says otherwise."""
    found = np.ones(spans.num_rows)
    for type_ in ("int", "float"):
        column = text_column(spans, attribute_column("attr", WEIGHT, type_))
        if column is not None:
            given = as_floats(column).fill_null(1.0).to_numpy(zero_copy_only=False)
            found = np.where(np.isfinite(given) & (given > 0), given, 1.0) * found
    return found


def as_floats(column: pa.Array) -> pa.Array:
    """Numbers as float64: integers past 2⁵³ are rounded, where Arrow by itself would refuse the batch."""
    return column.cast(pa.float64(), safe=False)


def words(column: pa.Array, each: int) -> Words:
    """A column of ids as uint64[rows, each]; 0 where null."""
    data = np.frombuffer(column.buffers()[1], np.dtype(">u8"))
    found = data[column.offset * each : (column.offset + len(column)) * each].reshape(-1, each).astype(np.uint64)
    if column.null_count:
        found[np.asarray(column.is_null())] = 0
    return found


_MIX = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)


def mixed(*parts: Words) -> Words:
    """One well-spread number for each row's ids (uint64[rows, each]): equal for equal ids, and hardly for others."""
    found = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        for column in part.T:
            found = (found ^ column) * _MIX[0]
            found = (found ^ (found >> np.uint64(30))) * _MIX[1]
            found = (found ^ (found >> np.uint64(27))) * _MIX[2]
            found ^= found >> np.uint64(31)
    return found


def one(column: pa.Array, row: int) -> Any:
    """A value."""
    return column[row].as_py()
