"""The cardinality limits: which new series the store takes. Series that it knows are always taken.

In: the labels that a batch brings. Out: those with room are in the index; the ids of the others are remembered for a
while, so that their rows are left out without asking for the labels again. Counts are of series with rows in the store.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.model.labels import METRIC_NAME
from obs.tsdb.filenames import EXEMPLARS, HISTOGRAMS, SAMPLES, STARTS
from obs.tsdb.idtable import IdTable
from obs.tsdb.index import SeriesIndex, gather
from obs.tsdb.limits import (
    INDEX_ROOM,
    MAX_REFUSED,
    NAMED_METRICS,
    OTHER_METRICS,
    RECOUNT_S,
    TOLD_METRICS,
    StoreLimits,
)  # fmt: skip

REASON = "cardinality_limit"
"""The ledger's word for rows that are left out here."""

Mask = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]
Tables = Mapping[str, pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows of a batch that were not taken: how many samples, and why, in a sentence for the sender."""

    samples: int
    why: str


class Refused:
    """Ids of series that found no room, with the metric of each. One thread adds at a time."""

    def __init__(self) -> None:
        self.ids = IdTable()
        self.metrics: list[str] = []
        self._numbers: dict[str, int] = {}
        self.size = 0

    def add(self, ids: npt.NDArray[np.uint64], metrics: Sequence[str]) -> None:
        """More of them."""
        new = np.flatnonzero(self.ids.lookup(ids) < 0)
        for metric in metrics:
            if metric not in self._numbers:
                self._numbers[metric] = len(self.metrics)
                self.metrics.append(metric)
        numbers = np.array([self._numbers[m] for m in metrics], np.int32)
        self.ids.add(ids[new], numbers[new])
        self.size += len(new)


class Admission:
    """Decides over new series. Any thread."""

    def __init__(
        self, index: SeriesIndex, limits: StoreLimits, held: Callable[[], Mask], complete: Callable[[], bool]
    ) -> None:
        self._index = index
        self._limits = limits
        self._held = held  # bool[ordinal]: the series with rows in the store
        self._complete = complete  # whether the index has all of the store's series; until then nothing is refused
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()  # series by metric, of ordinals below `_counted`
        self._counted = 0
        self._recount_at_s = 0.0  # monotonic; not before
        self._refused = Refused()
        self._dropped: Counter[str] = Counter()  # samples left out, by metric

    # --- labels ---

    def admit(self, series: pa.RecordBatch | None) -> Refused:
        """Take the series that are known or have room into the index; the answer is for `sift`.

        Raises: UserError (an id with other labels).
        """
        if series is None:
            return self._refused
        ids = series.column("series_id").to_numpy()
        if not (self._index.ordinals(ids) < 0).any() or not self._complete():
            self._index.add(series)
            return self._refused
        with self._lock:
            rows = np.sort(np.unique(ids, return_index=True)[1])
            new = rows[self._index.ordinals(ids[rows]) < 0]
            self._count()
            codes, metrics = _metrics_of(series, new)
            without_room = self._without_room(codes, metrics)
            if without_room.any() and self._recounted():
                without_room = self._without_room(codes, metrics)
            taken = np.ones(len(ids), np.bool_)
            taken[np.isin(ids, ids[new[without_room]])] = False
            self._index.add(series if taken.all() else series.filter(pa.array(taken)))
            self._count()
            return self._refuse(ids[new[without_room]], [metrics[c] for c in codes[without_room].tolist()])

    def _without_room(self, codes: I64, metrics: Sequence[str]) -> Mask:
        """Which of some new series, of metrics[codes[i]], are past a limit; the first to come are taken first."""
        limits, size = self._limits, len(self._index)
        total = min(limits.max_series - self._counts.total(), INDEX_ROOM * limits.max_series - size)
        wanted = np.bincount(codes, minlength=len(metrics))
        room = np.array([limits.max_series_per_metric - self._counts[m] for m in metrics], np.int64)
        refused = np.zeros(len(codes), np.bool_)
        for code in np.flatnonzero(wanted > room).tolist():
            refused[np.flatnonzero(codes == code)[max(int(room[code]), 0) :]] = True
        refused[np.flatnonzero(~refused)[max(total, 0) :]] = True
        return refused

    def _count(self) -> None:
        """Count the series that came into the index since the last time, by whatever way."""
        size = len(self._index)
        if size > self._counted:
            self._counts.update(_by_metric(self._index, np.arange(self._counted, size)))
            self._counted = size

    def _recounted(self) -> bool:
        """Whether series that lost their last rows were let go of, which is looked for now and then."""
        if time.monotonic() < self._recount_at_s:
            return False
        held = self._held()
        self._counts, self._counted = Counter(_by_metric(self._index, np.flatnonzero(held))), len(held)
        self._recount_at_s = time.monotonic() + RECOUNT_S
        self._refused = Refused()
        return True

    def recount(self) -> None:
        """Series may be gone: count anew as soon as room is needed."""
        with self._lock:
            self._recount_at_s = 0.0
            self._refused = Refused()

    def _refuse(self, ids: npt.NDArray[np.uint64], metrics: Sequence[str]) -> Refused:
        if self._refused.size + len(ids) > MAX_REFUSED:
            self._refused = Refused()
        if len(ids):
            self._refused.add(ids, metrics)
        return self._refused

    # --- rows ---

    def sift(self, tables: Tables, refused: Refused) -> tuple[Tables, LeftOut | None]:
        """The tables without rows of series that were refused, and what was left out."""
        if not refused.size:
            return tables, None
        kept, samples = dict(tables), Counter[str]()
        for name in (SAMPLES, HISTOGRAMS, EXEMPLARS, STARTS):
            if name not in tables:
                continue
            ids = tables[name].column("series_id").to_numpy()
            numbers = refused.ids.lookup(ids)
            out = numbers >= 0
            out[out] = self._index.ordinals(ids[out]) < 0
            if out.any():
                kept[name] = tables[name].filter(pa.array(~out))
                if name == SAMPLES:
                    found = np.bincount(numbers[out])
                    samples.update({refused.metrics[i]: int(found[i]) for i in np.flatnonzero(found).tolist()})
        return {name: table for name, table in kept.items() if table.num_rows}, self._left_out(samples)

    def _left_out(self, samples: Counter[str]) -> LeftOut | None:
        if not samples:
            return None
        with self._lock:
            for metric, count in samples.items():
                named = metric in self._dropped or len(self._dropped) < NAMED_METRICS
                self._dropped[metric if named else OTHER_METRICS] += count
        return LeftOut(samples.total(), self._why(samples))

    def _why(self, samples: Counter[str]) -> str:
        told = [metric for metric, _ in samples.most_common(TOLD_METRICS)]
        more = f" and {len(samples) - len(told)} more" if len(samples) > len(told) else ""
        names = ", ".join(map(repr, told)) + more
        each, total = self._limits.max_series_per_metric, self._limits.max_series
        if any(self._counts[metric] >= each for metric in told):
            limit = f"the limit of {each} series a metric (tsdb.max_series_per_metric) is reached by {names}"
        else:
            limit = f"the limit of {total} series in all (tsdb.max_series) is reached; they are of {names}"
        return f"their series are new and {limit}; send fewer distinct label values, or raise the limit"

    @property
    def dropped(self) -> Mapping[str, int]:
        """Samples left out since the start, by metric; of bounded length."""
        with self._lock:
            return dict(self._dropped)


def _metrics_of(series: pa.RecordBatch, rows: I64) -> tuple[I64, list[str]]:
    """The metric of some rows, as numbers of a list of names."""
    labels = series.column("labels").take(pa.array(rows))
    offsets = labels.offsets.to_numpy()
    at = np.flatnonzero(pc.equal(labels.keys, METRIC_NAME).to_numpy(zero_copy_only=False))
    names = labels.items.take(pa.array(at)).dictionary_encode()
    metrics = [*names.dictionary.to_pylist(), ""]
    codes = np.full(len(rows), len(metrics) - 1, np.int64)
    codes[np.searchsorted(offsets, at, "right") - 1] = names.indices.to_numpy()
    return codes, metrics


def _by_metric(index: SeriesIndex, ordinals: I64) -> dict[str, int]:
    """How many of some series each metric has."""
    pairs, _ = gather(index.flat, index.offsets, ordinals)
    name = index.pair_names.number(METRIC_NAME)
    distinct, counts = np.unique(pairs, return_counts=True)
    found = {}
    if name is not None:
        is_name = index.pair_names.of(distinct.astype(np.int64)) == name
        named = zip(distinct[is_name].tolist(), counts[is_name].tolist(), strict=True)
        found = {index.pair_texts[pair][1]: n for pair, n in named}
    return found | {"": len(ordinals) - sum(found.values())}
