"""The metric store: takes batches of samples, gives series to read. A Store, a Consumer and a SampleSource.

A sample is found as soon as `consume` has returned, before and after its flush alike.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs import warm
from obs.columnar.engine import Engine
from obs.columnar.options import EngineOptions
from obs.columnar.view import View
from obs.errors import Unavailable, UserError
from obs.model.batch import Batch
from obs.model.clock import SYSTEM_CLOCK, Clock
from obs.model.labels import Labels, Matcher, labels_id
from obs.model.ports import SeriesSet, Stored, StoreStats
from obs.model.schema import TABLES
from obs.sql.views import SqlView
from obs.tsdb import beside, exemplars, sqlviews, starts, tombstones
from obs.tsdb.admission import REASON, Admission
from obs.tsdb.blocks import Written
from obs.tsdb.cardinality import Cardinality, cardinality
from obs.tsdb.catalog import BlockCatalog
from obs.tsdb.changes import Changes
from obs.tsdb.exemplars import Exemplar
from obs.tsdb.filenames import METADATA, SAMPLES, SERIES, STARTS
from obs.tsdb.groups import GroupCache
from obs.tsdb.headruns import OfTables, series_ordinals, sorted_run
from obs.tsdb.index import SeriesIndex
from obs.tsdb.labelrows import KnownRows, LabelRows
from obs.tsdb.layout import NS_PER_MS, MetricLayout
from obs.tsdb.limits import (
    AHEAD_S,
    BRISK_S,
    FIRST_MS,
    GIVE_WAY_S,
    GLANCE_S,
    KERNELS_FIRST_S,
    KERNELS_FIRST_SERIES,
    LABELS_WAIT_S,
    LAST_MS,
    RECOVERY_WAIT_S,
    SLICE_SAMPLES,
    STATUS_TOP,
    StoreLimits,
)
from obs.tsdb.metadata import Description, MetadataRegistry
from obs.tsdb.presence import Presence, Selectors
from obs.tsdb.selection import Reader, Selection, plan, select
from obs.tsdb.slices import slices

log = logging.getLogger(__name__)

Mask = npt.NDArray[np.bool_]
USUAL_S = sys.getswitchinterval()
DROPPED_BY_METRIC = "dropped_by_metric"
"""In the stats: samples of new series past a limit, by metric."""


class MetricStore:
    """Samples, their series, exemplars and metadata of one data directory. Every method from any thread."""

    sql_names = ("metrics", "series")

    def __init__(
        self,
        folder: Path,
        options: EngineOptions | None = None,
        clock: Clock = SYSTEM_CLOCK,
        limits: StoreLimits | None = None,
    ) -> None:
        limits = limits or StoreLimits()
        self.clock = clock
        self.index = SeriesIndex()
        self.limits = limits
        self._metadata = MetadataRegistry()
        written = Written()
        self._labels_read = threading.Event()
        layout = MetricLayout(self.index, self._metadata, written, self._give_way, self._labels_read.is_set)
        self.engine = Engine(layout, folder, options or EngineOptions(), clock)
        catalog, cache = BlockCatalog(self.index, written, self._give_way), GroupCache(limits.cache_bytes)
        runs, rows = OfTables(self.index, sorted_run), KnownRows(self.index)
        self._reader = Reader(self.index, catalog, cache, runs, limits.max_rows, rows)
        self._head_series = OfTables(self.index, series_ordinals)
        self._presence = Presence(self._reader, self._head_series)
        self.changes = Changes(self._losses)
        self.admission = Admission(self.index, limits, self._held, self._all_labels_known)
        self._loader: threading.Thread | None = None
        self._reading_ahead = 0  # views that the reading ahead has open
        self._metadata_read, self._closing = threading.Event(), threading.Event()
        self._labels_wait_ends_s = 0.0  # monotonic

    # --- Store ---

    def open(self) -> None:
        """Take the folder and start recovery; samples are taken as soon as this returns."""
        self.engine.open()
        self._labels_wait_ends_s = time.monotonic() + LABELS_WAIT_S
        self._loader = threading.Thread(target=self._load, name="obs-metrics-index", daemon=True)
        self._loader.start()

    def _load(self) -> None:
        """Read the metadata of all blocks, and the series of each as it comes; a query before that does it itself."""
        self._let_kernels_load()
        sys.setswitchinterval(BRISK_S)
        told = False
        try:
            while True:
                try:
                    self._read_ahead()
                except Exception:
                    if not told:
                        log.exception("cannot read the series of blocks ahead; queries do")
                    told = True
                self._metadata_read.set()
                self._labels_read.set()
                if self.engine.wait_recovered(0):
                    sys.setswitchinterval(USUAL_S)
                if self._closing.wait(AHEAD_S):
                    return
        finally:
            sys.setswitchinterval(USUAL_S)

    def _let_kernels_load(self) -> None:
        """They want the interpreter as well, and nobody is answered before; few labels are read at once."""
        ends_s = time.monotonic() + KERNELS_FIRST_S
        with self.view() as view:
            series = sum(block.meta.table_rows.get(SERIES, 0) for block in view.blocks)
        while series > KERNELS_FIRST_SERIES and not warm.progress().finished and time.monotonic() < ends_s:
            if self._closing.wait(GLANCE_S):
                return

    def _read_metadata(self) -> None:
        with self.view() as view:
            for block in reversed(view.blocks):
                self._metadata.add_older(block.read(METADATA))
        self._metadata_read.set()

    def _read_ahead(self) -> None:
        """What questions would else have to do themselves, and let go of what they need no more."""
        if not self._metadata_read.is_set():
            self._read_metadata()
        seen = self._reader.catalog.seen()
        with self.view() as view:
            self._reading_ahead = 1
            self._reader.catalog.ahead(view.blocks)
            self._reading_ahead = 0
            self._reader.catalog.keep(view.blocks, seen)
            for table in view.head_runs(SERIES):
                self._head_series.of(table)
        self._reader.runs.make_asked(self._give_way)
        self.index.settle()

    def _give_way(self) -> None:
        """Let questions under way be answered before more labels are read; not for long, for they go on coming."""
        ends_s = time.monotonic() + GIVE_WAY_S
        while self.engine.open_views > self._reading_ahead and time.monotonic() < ends_s:
            if self._closing.wait(GLANCE_S):
                return

    def _all_labels_known(self) -> bool:
        """Whether the series of the blocks and the WAL are in the index; waits for it a little after opening."""
        wait_s = max(self._labels_wait_ends_s - time.monotonic(), 0.0)
        return self._labels_read.wait(wait_s) and self.engine.wait_recovered(wait_s)

    def _held(self) -> Mask:
        with self.view() as view:
            return self._presence.chosen(view, (), FIRST_MS, LAST_MS)

    def _losses(self) -> int:
        """Grows with all that changes answers but for writes: deletes, blocks dropped, rows read back from the WAL."""
        counters = self.engine.counters
        return counters.deletes + counters.blocks_retired + counters.quarantined + counters.rows_replayed

    def flush(self) -> None:
        """Write the head out as blocks and wait for it."""
        self.engine.flush()

    def stats(self) -> StoreStats:
        """Figures as of now."""
        stats = self.engine.stats()
        extra = {
            "series": len(self.index),
            "label_pairs": self.index.pairs,
            "bytes_index": self.index.nbytes,
            "bytes_cache": self._reader.cache.nbytes + self._reader.runs.nbytes + self._head_series.nbytes,
            DROPPED_BY_METRIC: self.admission.dropped,
        }
        return replace(stats, extra={**stats.extra, **extra})

    def close(self) -> None:
        """Flush the WAL and stop; safe to call twice and without `open`."""
        self._closing.set()
        if self._loader is not None:
            self._loader.join()
        self.engine.close()

    # --- Consumer ---

    def consume(self, batch: Batch) -> Stored:
        """Store a metrics batch whole, but for new series past a limit; durable and visible when it returns.

        Raises: UnknownSeries, UserError (an id with two sets of labels), Overloaded, StorageFull.
        """
        given = {name: _canonical(name, table) for name, table in batch.tables.items() if table.num_rows}
        refused = self.admission.admit(given.pop(SERIES, None))
        tables, left_out = self.admission.sift(given, refused)
        if tables:
            self.engine.append(tables)
        if SAMPLES in tables:
            self.changes.note(int(tables[SAMPLES].column("t_ms").to_numpy().min()))
        if METADATA in tables:
            self._metadata.add(tables[METADATA])
        if left_out is None:
            return Stored(batch)
        return Stored(Batch(batch.signal, tables), {REASON: left_out.samples}, {REASON: left_out.why})

    # --- SampleSource ---

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SeriesSet:
        """Series that satisfy every matcher, with their samples in start_ms <= t <= end_ms.

        Raises: QueryError (a regex does not compile), QueryLimit.
        """
        with self.view() as view:
            return select(self._reader, view, matchers, start_ms, end_ms)

    def selection(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, most_series: int = 1 << 31,
        last_only: bool = False,
    ) -> Selection:  # fmt: skip
        """The same in parts of whole series, to be read one by one; close it. Raises: QueryError.

        `last_only`: samples that cannot be the last of their series in the range may be left out.
        """
        return plan(self._reader, self.view(), matchers, start_ms, end_ms, most_series, last_only)

    def starts(self, series: Sequence[Labels], start_ms: int, end_ms: int) -> Mapping[Labels, tuple[Any, Any]]:
        """When what samples of these series count began: times of those in start..end that say so, and the starts."""
        with self.view() as view:
            if not beside.has_any(view, STARTS):
                return {}
            self._reader.catalog.of(view.blocks)
            ordinals = self.index.ordinals(np.array([labels_id(labels) for labels in series], np.uint64))
            chosen = np.zeros(len(self.index), np.bool_)
            chosen[ordinals[ordinals >= 0]] = True
            found = starts.read(view, self.index, chosen, start_ms, end_ms)
        return {ls: found[n] for ls, n in zip(series, ordinals.tolist(), strict=True) if n in found}

    def slices(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, samples: int = SLICE_SAMPLES
    ) -> Iterator[SeriesSet]:
        """What `select` gives, about so many samples at a time. Raises: as `select`, its limit for one series only."""
        with self.view() as view:
            chosen = np.flatnonzero(self._presence.chosen(view, [matchers], start_ms, end_ms))
        return slices(self._reader, self.view, chosen, start_ms, end_ms, samples)

    # --- deletes ---

    def delete(self, selectors: Selectors, start_ms: int = FIRST_MS, end_ms: int = LAST_MS) -> int:
        """Hide what was stored before of the series that any selector selects, in start..end; returns their number.

        Samples, histograms and exemplars; durable when it returns. Raises: QueryError, Unavailable, StorageFull.
        """
        self._wait_for_labels()
        with self.view() as view:
            self._reader.catalog.of(view.blocks)
            ordinals = np.flatnonzero(self._presence.matching(selectors))
        if len(ordinals) and start_ms <= end_ms:
            payload = tombstones.encode(self.index.ids(ordinals), start_ms, end_ms)
            self.engine.delete(payload, start_ms * NS_PER_MS, end_ms * NS_PER_MS)
            self.admission.recount()
        return len(ordinals)

    def clean(self) -> int:
        """Write the blocks anew that have deleted rows; returns their number. Raises: Unavailable, StorageFull."""
        return self.engine.clean()

    def _wait_for_labels(self) -> None:
        """Until the index has the series that the WAL brings back. Raises: Unavailable."""
        if not self.engine.wait_recovered(RECOVERY_WAIT_S):
            raise Unavailable("cannot delete series: the WAL is still being read back; try again later")

    # --- what there is ---

    def series(
        self, selectors: Selectors, start_ms: int = FIRST_MS, end_ms: int = LAST_MS, most: int | None = None
    ) -> list[Labels]:
        """Label sets that any selector selects, with samples around start..end (see `presence`), sorted; the first."""
        with self.view() as view:
            chosen = np.flatnonzero(self._presence.chosen(view, selectors, start_ms, end_ms))
        rows = LabelRows(self.index, chosen)
        return sorted(rows) if most is None else list(rows.least(most))

    def label_names(self, selectors: Selectors = (), start_ms: int = FIRST_MS, end_ms: int = LAST_MS) -> list[str]:
        """Names of labels of the selected series, sorted."""
        with self.view() as view:
            return self._presence.label_names(view, selectors, start_ms, end_ms)

    def label_values(
        self, name: str, selectors: Selectors = (), start_ms: int = FIRST_MS, end_ms: int = LAST_MS
    ) -> list[str]:
        """Values of a label of the selected series, sorted."""
        with self.view() as view:
            return self._presence.label_values(view, name, selectors, start_ms, end_ms)

    def metadata(self, metric: str | None = None) -> Mapping[str, Sequence[Description]]:
        """What is known of each metric family, the latest description first."""
        self._metadata_read.wait(10)
        return self._metadata.of(metric)

    def exemplars(self, selectors: Selectors, start_ms: int, end_ms: int) -> list[tuple[Labels, list[Exemplar]]]:
        """Exemplars in start..end by series, sorted by labels."""
        with self.view() as view:
            self._reader.catalog.of(view.blocks)
            chosen = self._presence.matching(selectors)
            found = exemplars.read(view, self.index, chosen, start_ms, end_ms)
        labels = self.index.labels(np.fromiter(found, np.int64, len(found)))
        return sorted(zip(labels, found.values(), strict=True), key=lambda entry: entry[0])

    def cardinality(self, top: int = STATUS_TOP) -> Cardinality:
        """Which metrics, labels and pairs have most series."""
        return cardinality(self.index, self._held(), top)

    # --- SQL ---

    def view(self) -> View:
        """A snapshot of head and blocks; the caller closes it."""
        return self.engine.view()

    @contextmanager
    def sql_views(self) -> Iterator[Sequence[SqlView]]:
        """The views `metrics` and `series` for SQL; blocks stay on disk until the context is left."""
        with self.view() as view:
            yield sqlviews.sql_views(view, self._reader.catalog, self.index)


def _canonical(name: str, table: pa.RecordBatch) -> pa.RecordBatch:
    """A table in its schema. Raises: UserError."""
    schema = TABLES[name]
    if table.schema.equals(schema):
        return table
    try:
        return table.cast(schema)
    except (pa.ArrowException, ValueError) as e:
        raise UserError(f"cannot store table {name!r}: {e}; send it in the canonical schema") from None
