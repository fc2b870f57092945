"""Series of either protocol as rows of a batch."""

from __future__ import annotations

from collections import Counter

from obs.model.batch import Decoded
from obs.model.labels import METRIC_NAME, Labels, make_labels, with_metadata
from obs.model.schema import SAMPLES
from obs.otlp.draft import Draft, batch
from obs.otlp.limits import MAX_ITEMS
from obs.otlp.series_cache import SeriesCache
from obs.remote_write import reasons
from obs.remote_write.messages import Series, labels_of
from obs.remote_write.wire import too_many

SUFFIXES = {
    "histogram": ("_bucket", "_count", "_sum"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("_count", "_sum"),
    "counter": ("_total",),
    "info": ("_info",),
}
"""What the names of a family's series may end in."""


class Builder:
    """Collects one body's rows. Owned by one thread."""

    def __init__(self, cache: SeriesCache) -> None:
        self.draft = Draft(cache)
        self.rejected: Counter[str] = Counter()
        self._parts = 0
        self.ids: list[int] = []
        self.times_ms: list[int] = []
        self.values: list[float] = []

    def add(self, series: Series) -> None:
        """All of one series, or none of it where its labels cannot be kept."""
        self._parts += len(series.samples) + len(series.histograms) + len(series.exemplars)
        if self._parts > MAX_ITEMS:
            raise too_many()
        labels = labels_of(series.pairs)
        if isinstance(labels, str):
            self.rejected[labels] += len(series.samples) + len(series.histograms)
            return
        if self.draft.typed and series.metadata:
            labels = make_labels(with_metadata(dict(labels), *series.metadata[:2]))
        series_id = self.draft.series_id(labels)
        for t_ms, value in series.samples:
            self._sample(series_id, t_ms, value)
        self.add_others(series_id, series)
        if series.samples or series.histograms or series.exemplars:
            self.draft.note(series_id, labels)
        if series.metadata:
            self.draft.family((family_of(labels, series.metadata[0]), *series.metadata))

    def add_others(self, series_id: int, series: Series) -> None:
        """What of a series is no plain sample."""
        for histogram in series.histograms:
            if histogram.columns is None:
                self.rejected[reasons.HISTOGRAM] += 1
                continue
            self._sample(series_id, histogram.t_ms, histogram.count)
            self.draft.histogram(series_id, histogram.t_ms, histogram.columns)
        for t_ms, start_ms in series.starts:
            self.draft.start(series_id, t_ms, start_ms)
        for exemplar in series.exemplars:
            self.draft.exemplar(series_id, exemplar.t_ms, exemplar.value, exemplar.labels)

    def _sample(self, series_id: int, t_ms: int, value: float) -> None:
        self.ids.append(series_id)
        self.times_ms.append(t_ms)
        self.values.append(value)

    def finish(self) -> Decoded:
        """The batch."""
        return self.draft.finish(batch(SAMPLES, self.ids, self.times_ms, self.values), self.rejected)


def family_of(labels: Labels, kind: str) -> str:
    """The family of a series' metric: its name without what its type adds."""
    name = dict(labels).get(METRIC_NAME, "")
    for suffix in SUFFIXES.get(kind, ()):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name
