"""Small batches from Python values: for our own metrics, recording rules and tests. Never on the hot path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from obs.model.batch import Batch, Signal
from obs.model.labels import Labels, labels_id
from obs.model.schema import METADATA, SAMPLES, SERIES


def metrics_batch(samples: Iterable[tuple[Labels, int, float]], metadata: Iterable[Mapping[str, str]] = ()) -> Batch:
    """A metrics batch of (labels, t_ms, value) that carries the labels of every series it names."""
    rows = list(samples)
    ids = {labels: labels_id(labels) for labels, _, _ in rows}
    series = pa.RecordBatch.from_pydict(
        {"series_id": list(ids.values()), "labels": [list(ls) for ls in ids]}, schema=SERIES
    )
    points = pa.RecordBatch.from_pydict(
        {
            "series_id": [ids[ls] for ls, _, _ in rows],
            "t_ms": [t for _, t, _ in rows],
            "value": [v for _, _, v in rows],
        },
        schema=SAMPLES,
    )
    tables = {"series": series, "samples": points}
    meta = list(metadata)
    if meta:
        tables["metadata"] = pa.RecordBatch.from_pylist(meta, schema=METADATA)
    return Batch(Signal.METRICS, tables)
