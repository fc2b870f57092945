"""A metrics batch in the making: samples, and the labels, metadata and totals that are new with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from obs.model.batch import Batch, Decoded, Signal
from obs.model.labels import Labels, labels_id
from obs.model.schema import EXEMPLARS, METADATA, SAMPLES, SERIES
from obs.otlp.identity import Family
from obs.otlp.series_cache import MetadataKey, Pending, SeriesCache


class Draft:
    """Collects one body's batch. Owned by one thread."""

    def __init__(self, cache: SeriesCache) -> None:
        self._cache = cache
        self._generation = cache.generation
        self._known, self._known_metadata = cache.series, cache.metadata
        self._ids: dict[Labels, int] = {}
        self._new: dict[int, Labels] = {}
        self._metadata: dict[MetadataKey, None] = {}
        self._increments: dict[int, tuple[float, int]] = {}
        self._samples: tuple[list[int], list[int], list[float]] = ([], [], [])
        self._exemplars: list[tuple[int, int, float, Labels]] = []
        self.rejected: Counter[str] = Counter()

    def series_id(self, labels: Labels) -> int:
        """The id of a series; its labels go along unless the store holds them."""
        found = self._ids.get(labels)
        if found is None:
            found = self._ids[labels] = labels_id(labels)
            if found not in self._known:
                self._new[found] = labels
        return found

    def sample(self, series_id: int, t_ms: int, value: float) -> None:
        """Add one sample."""
        ids, times, values = self._samples
        ids.append(series_id)
        times.append(t_ms)
        values.append(value)

    def is_late(self, series_ids: Sequence[int], t_ms: int) -> bool:
        """Whether any of these delta series already has a point at or after `t_ms`."""
        return any(t_ms <= last for last in map(self._last_ms, series_ids) if last is not None)

    def _last_ms(self, series_id: int) -> int | None:
        if series_id in self._increments:
            return self._increments[series_id][1]
        total = self._cache.totals.get(series_id)
        return None if total is None else total.t_ms

    def cumulate(self, series_id: int, t_ms: int, increment: float) -> float:
        """The running total of a delta series with this point."""
        staged = self._increments.get(series_id, (0.0, 0))[0] + increment
        self._increments[series_id] = (staged, t_ms)
        total = self._cache.totals.get(series_id)
        return staged + (total.value if total else 0.0)

    def exemplar(self, series_id: int, t_ms: int, value: float, labels: Labels) -> None:
        """Add one exemplar."""
        self._exemplars.append((series_id, t_ms, value, labels))

    def family(self, family: Family) -> None:
        """Note a metric's type, unit and help, unless an earlier body did."""
        key = (family.name, family.kind, family.unit, family.help)
        if key not in self._known_metadata:
            self._metadata[key] = None

    def finish(self) -> Decoded:
        """The batch, what was refused, and what the cache is to learn."""
        tables = {
            "series": _batch(SERIES, list(self._new), list(self._new.values())),
            "samples": _batch(SAMPLES, *self._samples),
            "exemplars": _batch(EXEMPLARS, *(zip(*self._exemplars, strict=True) if self._exemplars else [[]] * 4)),
            "metadata": _batch(METADATA, *(zip(*self._metadata, strict=True) if self._metadata else [[]] * 4)),
        }
        kept = {name: t for name, t in tables.items() if t.num_rows}
        pending = Pending(self._generation, frozenset(self._new), frozenset(self._metadata), dict(self._increments))
        return Decoded(Batch(Signal.METRICS, kept), dict(self.rejected), pending)


def _batch(schema: pa.Schema, *columns: Sequence[object]) -> pa.RecordBatch:
    arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
