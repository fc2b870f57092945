"""Where scripts load to on disk: a metric store whose samples are all in merged blocks before they are read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from obs.columnar.options import EngineOptions
from obs.model.batch import Batch, Signal
from obs.model.labels import Labels, Matcher, labels_id
from obs.model.ports import Selection, SeriesSet
from obs.model.schema import SAMPLES, SERIES, STARTS
from obs.tsdb import histograms
from obs.tsdb.promql.histogram import Histogram
from obs.tsdb.store import MetricStore


class StoredSource:
    """A store in a folder of its own, which `close` removes. What was loaded is flushed and merged before a read."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="obs-promql-"))
        self._store = MetricStore(self._folder, EngineOptions(flush_age_s=3600.0))
        self._store.open()
        self._loaded: list[tuple[Labels, int, object, int]] = []

    def add(self, labels: Labels, t_ms: int, value: object, start_ms: int = 0) -> None:
        """One sample: a float or a histogram, and when what it counts began (0: unknown)."""
        self._loaded.append((labels, t_ms, value, start_ms))

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SeriesSet:
        """As the port says."""
        self._store_loaded()
        return self._store.select(matchers, start_ms, end_ms)

    def selection(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, most_series: int, last_only: bool = False
    ) -> Selection:
        """As the port says."""
        self._store_loaded()
        return self._store.selection(matchers, start_ms, end_ms, most_series, last_only)

    def starts(self, series: Sequence[Labels], start_ms: int, end_ms: int) -> Mapping[Labels, tuple[Any, Any]]:
        """As the port says."""
        self._store_loaded()
        return self._store.starts(series, start_ms, end_ms)

    def _store_loaded(self) -> None:
        if self._loaded:
            self._store.consume(batch_of(self._loaded))
            self._loaded.clear()
            self._store.flush()
            self._store.engine.compact()

    def close(self) -> None:
        """Remove the store."""
        self._store.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def batch_of(samples: Sequence[tuple[Labels, int, object, int]]) -> Batch:
    """Samples (floats and histograms, with their starts) as a batch."""
    ids = [labels_id(labels) for labels, _, _, _ in samples]
    known = dict(zip(ids, (labels for labels, _, _, _ in samples), strict=True))
    floats = [v.count if isinstance(v, Histogram) else v for _, _, v, _ in samples]
    hists = [(i, t, v) for i, (_, t, v, _) in zip(ids, samples, strict=True) if isinstance(v, Histogram)]
    tell = {i for i, (*_, start) in zip(ids, samples, strict=True) if start}
    began = [(i, t, start) for i, (_, t, _, start) in zip(ids, samples, strict=True) if i in tell]
    series = [pa.array(list(known), pa.uint64()), pa.array([list(ls) for ls in known.values()], SERIES.field(1).type)]
    tables = {
        "series": pa.RecordBatch.from_arrays(series, schema=SERIES),
        "samples": pa.RecordBatch.from_pydict(
            {"series_id": ids, "t_ms": [t for _, t, _, _ in samples], "value": floats}, schema=SAMPLES
        ),
    }
    if hists:
        tables["histograms"] = histograms.to_rows(*(list(column) for column in zip(*hists, strict=True)))
    if began:
        columns = dict(zip(STARTS.names, zip(*began, strict=True), strict=True))
        tables["starts"] = pa.RecordBatch.from_pydict({k: list(v) for k, v in columns.items()}, schema=STARTS)
    return Batch(Signal.METRICS, tables)
