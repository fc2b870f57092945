"""Streams: which resource attributes name one, and the stream id of every row of a batch.

Those of a list, and those whose keys have no dots: OpenTelemetry's all have one, so these are labels that a user or a
protocol with labels of its own (Loki's) gave.

In: a record batch with `resource.<key>:str` columns. Out: uint64 ids, and the labels under each id.
Rows of one resource come together, so ids are computed once a run of rows, never once a row.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.logstore import limits
from obs.logstore.names import label_name
from obs.model.labels import Labels, labels_id, make_labels
from obs.model.resource import NAMING_ATTRIBUTES
from obs.model.schema import attribute_column, parse_attribute_column

_RESOURCE = "resource."

UNKNOWN_SERVICE = "unknown_service"
"""`service_name` of a resource that names no service, as in Loki: every stream can be selected."""


class StreamMapper:
    """Gives rows their stream ids and remembers the labels under them; safe to use from several threads."""

    def __init__(self, attributes: Sequence[str] = NAMING_ATTRIBUTES) -> None:
        self._listed = {attribute_column("resource", key, "str"): label_name(key) for key in attributes}
        self.label_names = frozenset(self._listed.values())  # that of every stream are known from the first
        self._columns: dict[tuple[str, ...], Sequence[tuple[int, str]]] = {}
        self.renamed = False  # rows of the head bear ids of another list of attributes
        self._ids: dict[tuple[tuple[str, ...], tuple[str | None, ...]], int] = {}
        self._labels: dict[int, Labels] = {}
        self._lock = threading.Lock()

    def ids(self, batch: pa.RecordBatch) -> pa.Array:
        """The stream id of each row: uint64[rows]."""
        rows = batch.num_rows
        named = self._columns_of(tuple(batch.schema.names))
        names = tuple(label for _, label in named)
        columns = [_encoded(batch.column(at)) for at, _ in named]
        starts = _run_starts([c.codes for c in columns], rows)
        values = zip(*(c.at(starts) for c in columns), strict=True) if columns else [()] * len(starts)
        runs = np.fromiter((self._id(names, v) for v in values), dtype=np.uint64, count=len(starts))
        return pa.array(np.repeat(runs, np.diff(np.append(starts, rows))))

    def labels(self, stream_id: int) -> Labels:
        """The labels of a stream this mapper has given an id. Raises: KeyError."""
        return self._labels[stream_id]

    def known(self) -> list[tuple[int, Labels]]:
        """All streams seen so far."""
        with self._lock:
            return list(self._labels.items())

    def _columns_of(self, columns: tuple[str, ...]) -> Sequence[tuple[int, str]]:
        """Positions of the columns that name a stream, and their labels."""
        found = self._columns.get(columns)
        if found is None:
            labels = ((at, self._label(column)) for at, column in enumerate(columns))
            found = [(at, label) for at, label in labels if label]
            with self._lock:
                if len(self._columns) >= limits.MAX_SCHEMAS_CACHED:
                    self._columns.clear()
                self._columns[columns] = found
        return found

    def _label(self, column: str) -> str:
        """The label of a column, "" where it names no stream."""
        attribute = parse_attribute_column(column) if column.startswith(_RESOURCE) else None
        if column in self._listed or attribute is None:
            return self._listed.get(column, "")
        return label_name(attribute.key) if attribute.type == "str" and "." not in attribute.key else ""

    def _id(self, names: tuple[str, ...], values: tuple[str | None, ...]) -> int:
        known = self._ids.get((names, values))
        return known if known is not None else self._learn(names, values)

    def _learn(self, names: tuple[str, ...], values: tuple[str | None, ...]) -> int:
        pairs = {name: value for name, value in zip(names, values, strict=True) if value}
        pairs.setdefault("service_name", UNKNOWN_SERVICE)
        labels = make_labels(pairs)
        stream_id = labels_id(labels)
        with self._lock:
            if len(self._ids) >= limits.MAX_STREAMS_CACHED:
                self._ids.pop(next(iter(self._ids)))
            self._ids[names, values] = stream_id
            self._labels[stream_id] = labels
        return stream_id


class StreamTable:
    """Streams of one chunk or block by position, and each label of them as codes into its values."""

    def __init__(self, streams: Sequence[tuple[int, Labels]]) -> None:
        self.streams = streams
        self._encoded: dict[str, tuple[npt.NDArray[np.int32], pa.Array]] = {}

    @cached_property
    def names(self) -> frozenset[str]:
        """Labels that some stream has."""
        return frozenset(name for _, labels in self.streams for name, _ in labels)

    def label(self, name: str, codes: npt.NDArray[np.int64]) -> pa.Array | None:
        """The label of the streams at `codes` as a dictionary array; None where no stream has it."""
        if name not in self.names:
            return None
        if name not in self._encoded:
            self._encoded[name] = self._encode(name)
        table, values = self._encoded[name]
        at = table[codes]
        return pa.DictionaryArray.from_arrays(pa.array(at, mask=at < 0), values)

    def everywhere(self, name: str) -> bool:
        """Whether every stream has a label."""
        found = self.label(name, np.arange(len(self.streams)))
        return found is not None and found.null_count == 0

    def _encode(self, name: str) -> tuple[npt.NDArray[np.int32], pa.Array]:
        values = [dict(labels).get(name) for _, labels in self.streams]
        distinct = sorted({v for v in values if v})
        place = {v: i for i, v in enumerate(distinct)}
        return np.array([place.get(v or "", -1) for v in values], np.int32), pa.array(distinct, pa.string())


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A column as codes into its values; a null is the last code."""

    codes: npt.NDArray[np.int32]
    values: list[str | None]

    def at(self, rows: npt.NDArray[np.int64]) -> list[str | None]:
        """The values of some rows."""
        return [self.values[code] for code in self.codes[rows].tolist()]


def _encoded(column: pa.Array) -> _Encoded:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes, values = column.indices, column.dictionary.to_pylist()
    codes = codes.fill_null(len(values)) if codes.null_count else codes
    return _Encoded(codes.to_numpy(), [*values, None])


def _run_starts(codes: Sequence[npt.NDArray[np.int32]], rows: int) -> npt.NDArray[np.int64]:
    """Where a run of equal rows begins: positions, rising, the first 0."""
    if not rows:
        return np.empty(0, np.int64)
    change = np.zeros(rows, np.bool_)
    change[0] = True
    for column in codes:
        change[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(change)
