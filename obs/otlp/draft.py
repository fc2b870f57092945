"""A metrics batch in the making: beside the samples, the labels, metadata, exemplars and totals new with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from obs.model.batch import Batch, Decoded, Signal
from obs.model.labels import Labels, labels_id
from obs.model.schema import EXEMPLARS, HISTOGRAMS, METADATA, SERIES, STARTS
from obs.otlp.delta import Increments
from obs.otlp.identity import Family
from obs.otlp.series_cache import Pending, SeriesCache
from obs.otlp.slots import Int64s, MetadataKey


class Draft:
    """Collects one body's batch. Owned by one thread."""

    def __init__(self, cache: SeriesCache) -> None:
        with cache.lock:
            self._generation, self.slots = cache.generation, cache.slots
            self._known, self._known_metadata = cache.series, cache.metadata
        self.typed = cache.typed
        self._ids: dict[Labels, int] = {}
        self._new: dict[int, Labels] = {}
        self._metadata: dict[MetadataKey, None] = {}
        self._histograms: list[tuple[object, ...]] = []
        self._starts: list[tuple[int, int, int]] = []
        self._begun: tuple[pa.RecordBatch, Int64s] | None = None
        self._exemplars: list[tuple[int, int, float, Labels]] = []
        self.increments = Increments(cache.totals)

    def series_id(self, labels: Labels) -> int:
        """The id of a series."""
        found = self._ids.get(labels)
        if found is None:
            found = self._ids[labels] = labels_id(labels)
        return found

    def is_known(self, series_id: int) -> bool:
        """Whether the store holds the labels of a series."""
        return series_id in self._known

    def note(self, series_id: int, labels: Labels) -> None:
        """A series has samples: its labels go along unless the store holds them."""
        if series_id not in self._known:
            self._new[series_id] = labels

    def exemplar(self, series_id: int, t_ms: int, value: float, labels: Labels) -> None:
        """Add one exemplar."""
        self._exemplars.append((series_id, t_ms, value, labels))

    def histogram(self, series_id: int, t_ms: int, columns: tuple[object, ...]) -> None:
        """Add a native histogram; its count is a sample as well."""
        self._histograms.append((series_id, t_ms, *columns))

    def start(self, series_id: int, t_ms: int, start_ms: int) -> None:
        """Say when what a sample counts began to be counted."""
        self._starts.append((series_id, t_ms, start_ms))

    def begun(self, starts: pa.RecordBatch, slots: Int64s) -> None:
        """All of the body's starts as a table, and what its slots are to remember of them (see `Slots.begin`)."""
        self._begun = starts, slots

    def family(self, key: MetadataKey) -> None:
        """A metric has samples: its type, unit and help go along unless an earlier body brought them."""
        if not self.is_known_family(key):
            self._metadata[key] = None

    def is_known_family(self, key: MetadataKey) -> bool:
        """Whether an earlier body brought this metadata."""
        return key in self._known_metadata

    def finish(self, samples: pa.RecordBatch, rejected: Mapping[str, int], slots: Sequence[int] = ()) -> Decoded:
        """The batch, what was refused, and what the cache is to learn."""
        tables = {"samples": samples} if samples.num_rows else {}
        if self._new:
            tables["series"] = batch(SERIES, list(self._new), list(self._new.values()))
        if self._histograms:
            tables["histograms"] = batch(HISTOGRAMS, *zip(*self._histograms, strict=True))
        if self._starts:
            tables["starts"] = batch(STARTS, *zip(*self._starts, strict=True))
        begun = None
        if self._begun:
            tables["starts"], begun = self._begun
        if self._exemplars:
            tables["exemplars"] = batch(EXEMPLARS, *zip(*self._exemplars, strict=True))
        if self._metadata:
            tables["metadata"] = batch(METADATA, *zip(*self._metadata, strict=True))
        pending = Pending(
            self._generation,
            frozenset(self._new),
            frozenset(self._metadata),
            self.increments.staged,
            tuple(slots),
            begun,
        )
        return Decoded(Batch(Signal.METRICS, tables), dict(rejected), pending)


def metadata_key(family: Family) -> MetadataKey:
    """A family as the metadata table has it."""
    return (family.name, family.kind, family.unit, family.help)


def batch(schema: pa.Schema, *columns: Sequence[object]) -> pa.RecordBatch:
    """Columns of Python values as a RecordBatch."""
    arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
