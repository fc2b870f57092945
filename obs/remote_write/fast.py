"""Protocol 1.0 by kernels; the same batch as `slow`. Python reads only label sets new to the cache, and no samples."""

# mypy: allow-untyped-calls
from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.model.batch import Decoded
from obs.model.labels import Labels
from obs.model.schema import SAMPLES
from obs.otlp.kernels_wire import FULL, OK
from obs.otlp.limits import MAX_ITEMS
from obs.otlp.series_cache import SeriesCache
from obs.otlp.slots import PENDING, STATE, STORED
from obs.remote_write import kernels as kn
from obs.remote_write import reasons, slow, wire
from obs.remote_write.building import Builder
from obs.remote_write.messages import labels_of, metadata_v1, series_v1

Int64s = npt.NDArray[np.int64]
USUAL_SERIES_BYTES, USUAL_SAMPLE_BYTES = 48, 12
"""A series and a sample take at least so many bytes in what real senders write; other bodies are walked twice."""


def decode_v1(body: bytes, cache: SeriesCache) -> Decoded:
    """A prometheus.WriteRequest."""
    walk = _Walk(body, cache, USUAL_SERIES_BYTES, USUAL_SAMPLE_BYTES)
    if walk.code == FULL and len(body) < 2 * MAX_ITEMS:
        walk = _Walk(body, cache, 2, 2)
    return walk.finish() if walk.code == OK else slow.decode_v1(body, cache)


class _Walk:
    """One body's series and samples."""

    def __init__(self, body: bytes, cache: SeriesCache, series_bytes: int, sample_bytes: int) -> None:
        self._body, self._cache = body, cache
        self._builder = Builder(cache)
        self._slots = self._builder.draft.slots
        self._series = np.empty((kn.SERIES_FIELDS, len(body) // series_bytes + 16), np.int64)
        self._samples = np.empty((3, len(body) // sample_bytes + 16), np.int64)
        self._counts = np.zeros(3, np.int64)
        buf, slots = np.frombuffer(body, np.uint8), self._slots
        code = kn.walk(buf, len(body), slots.seed, slots.table, self._series, self._samples, self._counts)
        self.code = int(code)

    def finish(self) -> Decoded:
        """The batch."""
        series = self._series[:, : self._counts[kn.N_SERIES]]
        for index in np.flatnonzero(series[kn.SLOT] < 0).tolist():
            series[kn.SLOT, index] = self._slot(series[:, index].tolist())
        states = self._slots.info[series[kn.SLOT], STATE]
        counts = np.diff(np.append(series[kn.FIRST], self._counts[kn.N_SAMPLES]))
        rejected = self._rejected(series, states, counts)
        for index in np.flatnonzero((series[kn.MORE] != 0) & (states >= 0)).tolist():
            self._others(series[:, index].tolist())
        used = (counts > 0) | (series[kn.MORE] != 0)
        pending = self._pending(series[kn.SLOT][(states == PENDING) & used])
        if self._counts[kn.N_METADATA]:
            self._metadata()
        rejected.update(self._builder.rejected)
        return self._builder.draft.finish(self._emitted(series), rejected, pending)

    def _slot(self, column: list[int]) -> int:
        """The slot of a label set that was new when it was walked."""
        h1, h2 = column[kn.H1], column[kn.H2]
        found = self._slots.find(h1, h2)
        if found >= 0:
            return found
        labels = labels_of(series_v1(self._body[column[kn.AT] : column[kn.STOP]]).pairs)
        ids: list[int] = []
        sent: list[Labels] = []
        if isinstance(labels, str):
            state = -1 - reasons.ORDER.index(labels)
        else:
            ids, sent = [self._builder.draft.series_id(labels)], [labels]
            state = STORED if self._builder.draft.is_known(ids[0]) else PENDING
        with self._cache.lock:
            found = self._slots.find(h1, h2)
            if found < 0:
                found = self._slots.add(h1, h2, ids, state)
                if state == PENDING:
                    self._slots.labels[found] = sent
        return found

    def _rejected(self, series: Int64s, states: Int64s, counts: Int64s) -> Counter[str]:
        found: Counter[str] = Counter()
        for index in np.flatnonzero(states < 0).tolist():
            more = series_v1(self._body[series[kn.AT, index] : series[kn.STOP, index]]).histograms
            found[reasons.ORDER[-1 - int(states[index])]] += int(counts[index]) + len(more)
        return found

    def _others(self, column: list[int]) -> None:
        series = series_v1(self._body[column[kn.AT] : column[kn.STOP]])
        self._builder.add_others(self._slots.ids_of(column[kn.SLOT])[0], series)

    def _pending(self, slots: Int64s) -> list[int]:
        """Have the labels of series that the store does not hold yet go along."""
        used = list(dict.fromkeys(slots.tolist()))
        for slot in used:
            for series_id, labels in zip(self._slots.ids_of(slot), self._slots.labels.get(slot, ()), strict=False):
                self._builder.draft.note(series_id, labels)
        return used

    def _metadata(self) -> None:
        for number, value in wire.fields(self._body):
            if number == 3:
                self._builder.draft.family(metadata_v1(wire.raw(value)))

    def _emitted(self, series: Int64s) -> pa.RecordBatch:
        slots, more = self._slots, self._builder
        n = int(kn.emit(series, slots.info, slots.ids, self._samples, int(self._counts[kn.N_SAMPLES])))
        columns = [
            np.concatenate([self._samples[0, :n].view(np.uint64), np.array(more.ids, np.uint64)]),
            np.concatenate([self._samples[1, :n], np.array(more.times_ms, np.int64)]),
            np.concatenate([self._samples[2, :n].view(np.float64), np.array(more.values, np.float64)]),
        ]
        return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=SAMPLES)
