"""Metrics batches of floats, native histograms and exemplars, and what a store gives of them, as plain dicts."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pyarrow as pa

from obs.model.batch import Batch, Signal
from obs.model.build import metrics_batch
from obs.model.labels import Labels, labels_id
from obs.model.ports import SeriesSet
from obs.model.schema import EXEMPLARS
from obs.tsdb.histograms import to_rows
from obs.tsdb.promql.histogram import Histogram

Value = float | Histogram
Held = dict[tuple[Labels, int], bytes | Histogram]
"""(labels, t_ms) → the bits of a float, or a histogram."""

Exemplar = tuple[Labels, int, float, str]
"""labels, t_ms, value, the exemplar's trace id."""


def mixed_batch(rows: Iterable[tuple[Labels, int, Value]], exemplars: Iterable[Exemplar] = ()) -> Batch:
    """One batch; a histogram brings its count as a sample along."""
    rows, exemplars = list(rows), list(exemplars)
    hists = [(labels_id(labels), t, v) for labels, t, v in rows if isinstance(v, Histogram)]
    floats = [(labels, t, v.count if isinstance(v, Histogram) else v) for labels, t, v in rows]
    known = [(labels, 0, 0.0) for labels, *_ in exemplars]  # for their labels only
    tables = dict(metrics_batch([*floats, *known]).tables)
    tables["samples"] = tables["samples"].slice(0, len(floats))
    if hists:
        tables["histograms"] = to_rows(*zip(*hists, strict=True))
    if exemplars:
        columns = {
            "series_id": [labels_id(labels) for labels, *_ in exemplars],
            "t_ms": [t for _, t, _, _ in exemplars],
            "value": [v for _, _, v, _ in exemplars],
            "labels": [[("trace_id", trace)] for *_, trace in exemplars],
        }
        tables["exemplars"] = pa.RecordBatch.from_pydict(columns, schema=EXEMPLARS)
    return Batch(Signal.METRICS, {name: table for name, table in tables.items() if table.num_rows})


def bits(value: Value) -> bytes | Histogram:
    """A value as `Held` has it."""
    return value if isinstance(value, Histogram) else struct.pack("<d", value)


def held(found: SeriesSet) -> Held:
    """What was selected."""
    rows: Held = {}
    for labels, first, stop in zip(found.labels, found.offsets[:-1].tolist(), found.offsets[1:].tolist(), strict=True):
        for row in range(first, stop):
            histogram = found.hists[row] if found.hists is not None else None
            rows[labels, int(found.t_ms[row])] = found.values[row].tobytes() if histogram is None else histogram
    return rows
