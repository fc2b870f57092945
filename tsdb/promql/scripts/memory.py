"""A SampleSource in memory: what scripts load into, and tests that need samples without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from obs.model.labels import Labels, Matcher
from obs.model.ports import SeriesSet
from obs.tsdb.promql.histogram import Histogram


class OnePart:
    """A selection that is there already."""

    def __init__(self, found: SeriesSet) -> None:
        self._found = found
        self.stats = found.stats

    def __len__(self) -> int:
        return 1

    def read(self, part: int) -> SeriesSet:
        """All of it."""
        return self._found

    def laid(self, part: int) -> None:
        """It is read."""

    def close(self) -> None:
        """Nothing to do."""


class MemorySource:
    """Samples by series; equal times keep the last."""

    def __init__(self) -> None:
        self._series: dict[Labels, dict[int, object]] = {}
        self._starts: dict[Labels, dict[int, int]] = {}

    def add(self, labels: Labels, t_ms: int, value: object, start_ms: int = 0) -> None:
        """One sample: a float or a histogram, and when what it counts began (0: unknown)."""
        self._series.setdefault(labels, {})[t_ms] = value
        self._starts.setdefault(labels, {})[t_ms] = start_ms

    def close(self) -> None:
        """Nothing to do."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SeriesSet:
        """As the port says."""
        labels: list[Labels] = []
        offsets, times, values = [0], list[int](), list[object]()
        for series in sorted(self._series):
            have = dict(series)
            if not all(m.matches(have.get(m.name, "")) for m in matchers):
                continue
            samples = sorted((t, v) for t, v in self._series[series].items() if start_ms <= t <= end_ms)
            if samples:
                labels.append(series)
                times.extend(t for t, _ in samples)
                values.extend(v for _, v in samples)
                offsets.append(len(times))
        return _series_set(labels, offsets, times, values)

    def selection(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, most_series: int, last_only: bool = False
    ) -> OnePart:
        """As the port says, in one part."""
        return OnePart(self.select(matchers, start_ms, end_ms))

    def starts(self, series: Sequence[Labels], start_ms: int, end_ms: int) -> Mapping[Labels, tuple[Any, Any]]:
        """As the port says."""
        told = {ls: self._starts.get(ls, {}) for ls in series}
        found = {ls: np.array(sorted(rows.items()), np.int64) for ls, rows in told.items() if any(rows.values())}
        return {ls: (rows[:, 0], rows[:, 1]) for ls, rows in found.items()}


def _series_set(labels: list[Labels], offsets: list[int], times: list[int], values: list[object]) -> SeriesSet:
    floats = np.array([v if isinstance(v, float) else 0.0 for v in values], np.float64)
    hists = None
    if any(isinstance(v, Histogram) for v in values):
        hists = np.array([v if isinstance(v, Histogram) else None for v in values], np.object_)
    return SeriesSet(labels, np.array(offsets, np.int64), np.array(times, np.int64), floats, hists=hists)
