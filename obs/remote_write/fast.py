"""Protocol 1.0 by kernels; the same batch as `slow`. Python reads only label sets new to the cache, and no samples."""

# mypy: allow-untyped-calls
from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.model.batch import Batch, Decoded, Signal
from obs.model.labels import Labels
from obs.model.schema import SAMPLES
from obs.otlp.kernels_wire import FULL, OK
from obs.otlp.limits import MAX_ITEMS
from obs.otlp.series_cache import SeriesCache
from obs.otlp.slots import PENDING, STATE, STORED
from obs.remote_write import kernels as kn
from obs.remote_write import reasons, slow, wire
from obs.remote_write.building import Builder
from obs.remote_write.messages import Pairs, labels_of, metadata_v1, series_v1

Int64s = npt.NDArray[np.int64]
USUAL_SERIES_BYTES, USUAL_SAMPLE_BYTES = 48, 12
"""A series and a sample take at least so many bytes in what real senders write; other bodies are walked twice."""

MOST_SCRATCH = 1 << 16
"""Series or samples that a thread keeps room for: 5 MB. Larger bodies are few."""


def decode_v1(body: bytes, cache: SeriesCache) -> Decoded:
    """A prometheus.WriteRequest."""
    walk = _Walk(body, cache, USUAL_SERIES_BYTES, USUAL_SAMPLE_BYTES)
    if walk.code == FULL and len(body) < 2 * MAX_ITEMS:
        walk = _Walk(body, cache, 2, 2)
    return walk.finish() if walk.code == OK else slow.decode_v1(body, cache)


class _Scratch(threading.local):
    """A thread's arrays for walks of bodies of usual size: memory that the last body left in the cache."""

    def __init__(self) -> None:
        self._series = np.empty((kn.SERIES_FIELDS, 0), np.int64)
        self._samples = np.empty((3, 0), np.int64)

    def arrays(self, series: int, samples: int) -> tuple[Int64s, Int64s]:
        """Room for so many or more; to be used until the next call."""
        if max(series, samples) > MOST_SCRATCH:
            return np.empty((kn.SERIES_FIELDS, series), np.int64), np.empty((3, samples), np.int64)
        if series > self._series.shape[1]:
            self._series = np.empty((kn.SERIES_FIELDS, series), np.int64)
        if samples > self._samples.shape[1]:
            self._samples = np.empty((3, samples), np.int64)
        return self._series, self._samples


_scratch = _Scratch()


class _Walk:
    """One body's series and samples."""

    def __init__(self, body: bytes, cache: SeriesCache, series_bytes: int, sample_bytes: int) -> None:
        self._body, self._cache = body, cache
        self._builder = Builder(cache)
        self._slots = self._builder.draft.slots
        self._series, self._samples = _scratch.arrays(len(body) // series_bytes + 16, len(body) // sample_bytes + 16)
        self._counts = np.zeros(4, np.int64)
        buf, slots = np.frombuffer(body, np.uint8), self._slots
        code = kn.walk(buf, len(body), slots.seed, slots.table, self._series, self._samples, self._counts)
        self.code = int(code)

    def finish(self) -> Decoded:
        """The batch."""
        if self._counts[kn.N_ODD] > MAX_ITEMS:
            raise wire.too_many()
        series = self._series[:, : self._counts[kn.N_SERIES]]
        if self._counts[kn.N_ODD]:
            for index in np.flatnonzero(series[kn.SLOT] < 0).tolist():
                series[kn.SLOT, index] = self._slot(series[:, index].tolist())
        columns, unsettled = self._emitted(series)
        if not (self._counts[kn.N_ODD] or unsettled or self._counts[kn.N_METADATA]) and columns.shape[1]:
            return Decoded(Batch(Signal.METRICS, {"samples": self._batch(columns)}))  # nothing was learned
        rejected: Counter[str] = Counter()
        pending: list[int] = []
        if self._counts[kn.N_ODD] or unsettled:
            rejected, pending = self._settle(series)
        if self._counts[kn.N_METADATA]:
            self._metadata()
        rejected.update(self._builder.rejected)
        return self._builder.draft.finish(self._batch(columns), rejected, pending)

    def _settle(self, series: Int64s) -> tuple[Counter[str], list[int]]:
        """Series that are refused, are not stored yet, or have more than samples: what is rejected, what is pending."""
        states = self._slots.info[series[kn.SLOT], STATE]
        counts = np.diff(np.append(series[kn.FIRST], self._counts[kn.N_SAMPLES]))
        rejected = self._rejected(series, states, counts)
        for index in np.flatnonzero((series[kn.MORE] != 0) & (states >= 0)).tolist():
            self._others(series[:, index].tolist())
        used = (counts > 0) | (series[kn.MORE] != 0)
        return rejected, self._pending(series[kn.SLOT][(states == PENDING) & used])

    def _slot(self, column: list[int]) -> int:
        """The slot of a label set that was new when it was walked."""
        h1, h2 = column[kn.H1], column[kn.H2]
        found = self._slots.find(h1, h2)
        if found >= 0:
            return found
        pairs = _usual_pairs(self._body, column[kn.AT], column[kn.STOP])
        if pairs is None:
            pairs = series_v1(self._body[column[kn.AT] : column[kn.STOP]]).pairs
        labels = labels_of(pairs)
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
        for number, value in wire.bounded(wire.fields(self._body)):
            if number == 3:
                self._builder.draft.family(metadata_v1(wire.raw(value)))

    def _emitted(self, series: Int64s) -> tuple[Int64s, int]:
        """Ids, times and bits of values, one below the other, and how many series are not simply stored."""
        n = int(self._counts[kn.N_SAMPLES])
        out = np.empty((3, n), np.int64)
        kept, unsettled = kn.emit(series, self._slots.info, self._slots.ids, self._samples, n, out)
        return out[:, :kept], int(unsettled)

    def _batch(self, columns: Int64s) -> pa.RecordBatch:
        """The samples, with those that the kernels left to Python behind them."""
        ids, times, values = columns[0].view(np.uint64), columns[1], columns[2].view(np.float64)
        more = self._builder
        if more.ids:
            ids = np.concatenate([ids, np.array(more.ids, np.uint64)])
            times = np.concatenate([times, np.array(more.times_ms, np.int64)])
            values = np.concatenate([values, np.array(more.values, np.float64)])
        return pa.RecordBatch.from_arrays([pa.array(ids), pa.array(times), pa.array(values)], schema=SAMPLES)


def _usual_pairs(body: bytes, at: int, stop: int) -> Pairs | None:
    """The labels at the start of a series where each is a name, then a value, of under 128 bytes; else None."""
    pairs: Pairs = []
    try:
        while at < stop and body[at] == kn.LABEL:
            name_at = at + 4
            value_at = name_at + body[at + 3] + 2
            end = value_at + body[value_at - 1]
            tags = body[at + 2], body[value_at - 2]
            if tags != (0x0A, 0x12) or body[at + 1] > 127 or end != at + 2 + body[at + 1] or end > stop:
                return None
            pairs.append((body[name_at : value_at - 2].decode(), body[value_at:end].decode()))
            at = end
    except (IndexError, UnicodeDecodeError):
        return None
    return pairs
