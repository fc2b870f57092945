"""A state as a metrics batch: cumulative samples, zeros before the first of a series, native histograms, exemplars."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from obs.collector.processors.derived.families import NATIVE_FIRST, NATIVE_SCHEMA, ZERO_THRESHOLD
from obs.collector.processors.derived.state import Exemplar, Floats, Ints, State
from obs.model.batch import Batch, Signal
from obs.model.schema import EXEMPLARS, HISTOGRAMS, METADATA, SAMPLES, SERIES
from obs.model.stale import STALE


def metrics(state: State, t_ms: int, zero_ms: int, idle: Ints, all_labels: bool) -> Batch:
    """Every series of the state at `t_ms`; those of `idle` rows end here.

    Fresh ones are 0 at `zero_ms` before it: their first increment is seen. `all_labels`: send those of old ones too.
    """
    n = len(state)
    values, fresh = _values(state), state.fresh[:n].copy()
    fresh[idle] = False
    values[idle] = STALE
    rows = [(zero_ms, np.flatnonzero(fresh), np.zeros_like(values[fresh])), (t_ms, np.arange(n), values)]
    samples = [_samples(state.ids[at], t, v) for t, at, v in rows if len(at)]
    tables = {"samples": pa.Table.from_batches(samples, SAMPLES).combine_chunks().to_batches()[0]} if samples else {}
    named = np.arange(n) if all_labels else np.flatnonzero(state.fresh[:n])
    if len(named):
        tables["series"] = _series(state, named)
        tables["metadata"] = pa.RecordBatch.from_pylist(state.families.metadata(), schema=METADATA)
    live = np.setdiff1d(np.arange(n), idle)
    if state.families.native and len(live):
        tables["histograms"] = _histograms(state, live, t_ms)
    if state.exemplars:
        tables["exemplars"] = _exemplars(state)
    return Batch(Signal.METRICS, tables)


def _values(state: State) -> Floats:
    """float64[rows, series], in the order of `Families.series`."""
    n, columns = len(state), [state.values[: len(state)]]
    for at, buckets in enumerate(state.buckets):
        cumulated = np.cumsum(buckets[:n], axis=1)
        if state.families.classic:
            columns += [cumulated, state.sums[:n, at : at + 1], cumulated[:, -1:]]
        if state.families.native:
            columns.append(cumulated[:, -1:])
    return np.concatenate(columns, axis=1)


def _samples(ids: np.ndarray, t_ms: int, values: Floats) -> pa.RecordBatch:
    times = np.full(ids.size, t_ms, np.int64)
    arrays = [pa.array(ids.ravel()), pa.array(times), pa.array(values.ravel())]
    return pa.RecordBatch.from_arrays(arrays, schema=SAMPLES)


def _series(state: State, rows: Ints) -> pa.RecordBatch:
    labels = [list(one) for row in rows for one in state.series[row]]
    arrays = [pa.array(state.ids[rows].ravel()), pa.array(labels, SERIES.field("labels").type)]
    return pa.RecordBatch.from_arrays(arrays, schema=SERIES)


def _histograms(state: State, rows: Ints, t_ms: int) -> pa.RecordBatch:
    found = []
    for at, natives in enumerate(state.natives):
        column = _column(state, at, "native")
        for row in rows:
            buckets = natives[row, 1:]
            used = np.flatnonzero(buckets)
            first, stop = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
            found.append({
                "series_id": state.ids[row, column], "t_ms": t_ms, "schema": NATIVE_SCHEMA,
                "count": float(natives[row].sum()), "sum": state.sums[row, at], "zero_threshold": ZERO_THRESHOLD,
                "zero_count": natives[row, 0], "positive_offset": NATIVE_FIRST + first,
                "positive": buckets[first:stop].tolist(), "negative_offset": 0, "negative": [], "hint": 0,
            })  # fmt: skip
    return pa.RecordBatch.from_pylist(found, schema=HISTOGRAMS)


def _column(state: State, histogram: int, part: str) -> int:
    """Where the series of a histogram begin in a row, or its native one stands."""
    families, at = state.families, len(state.families.counters)
    for i, family in enumerate(families.histograms):
        classic = (len(family.bounds) + 3) * families.classic
        if i == histogram:
            return at + (classic if part == "native" else 0)
        at += classic + families.native
    raise IndexError(histogram)


def _exemplars(state: State) -> pa.RecordBatch:
    found = []
    for (row, histogram), exemplar in state.exemplars.items():
        for column in _columns_of(state, histogram, exemplar):
            labels = [("span_id", exemplar.span_id.hex()), ("trace_id", exemplar.trace_id.hex())]
            found.append({"series_id": state.ids[row, column], "t_ms": exemplar.t_ms,
                          "value": exemplar.value, "labels": labels})  # fmt: skip
    return pa.RecordBatch.from_pylist(found, schema=EXEMPLARS)


def _columns_of(state: State, histogram: int, exemplar: Exemplar) -> list[int]:
    """The series that show an exemplar: its bucket, and the native one."""
    found = []
    if state.families.classic:
        bound = int(np.searchsorted(state.families.histograms[histogram].bounds, exemplar.value, side="left"))
        found.append(_column(state, histogram, "classic") + bound)
    if state.families.native:
        found.append(_column(state, histogram, "native"))
    return found
