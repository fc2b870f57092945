"""Why series that there are have no sample where the query looks: when their last and next samples are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from obs.errors import QueryLimit
from obs.model.durations import duration_text
from obs.model.labels import Matcher
from obs.model.ports import SeriesSet
from obs.model.stale import STALE_BITS
from obs.tsdb.limits import FIRST_MS, LAST_MS
from obs.tsdb.store import MetricStore
from obs.tsdb.why.reasons import DAY, count, moment, span

REACHES_MS = (DAY // 24, DAY // 4, DAY, 7 * DAY, 30 * DAY, 365 * DAY, 100 * 365 * DAY)
"""How far around the query's time samples are looked for, step by step: the nearest costs least."""


def no_samples(store: MetricStore, matchers: Sequence[Matcher], first_ms: int, last_ms: int) -> str:
    """The reason, for a selector that looks at first_ms <= t <= last_ms and found nothing alive there."""
    found = store.select(matchers, first_ms, last_ms)
    if len(found.values):
        return _ended(found)
    before = _nearest(store, matchers, lambda reach: (_clamped(first_ms - reach), first_ms - 1), max)
    after = _nearest(store, matchers, lambda reach: (last_ms + 1, _clamped(last_ms + reach)), min)
    where = f"between {moment(first_ms)} and {moment(last_ms)}"
    told = []
    if before is not None:
        told.append(f"the last before is {span(first_ms - before)} earlier ({moment(before)})")
    if after is not None:
        told.append(f"the first after is {span(after - last_ms)} later ({moment(after)})")
    return f"the series exist, but have no sample {where}; {' and '.join(told) or 'none is kept of any other time'}"


def _ended(found: SeriesSet) -> str:
    last = found.offsets[1:] - 1
    stale = found.values.view(np.int64)[last] == STALE_BITS
    if stale.any():
        when = int(found.t_ms[last][stale].max())
        return f"{count(int(stale.sum()), 'series')} ended: the last stale marker is of {moment(when)}"
    every = int(np.median(np.diff(found.t_ms[: found.offsets[1]]))) if found.offsets[1] > 1 else 0
    apart = f", {duration_text(every)} apart" if every else ""
    return f"there are samples{apart}, but none within the lookback of any step"


def _nearest(
    store: MetricStore,
    matchers: Sequence[Matcher],
    window: Callable[[int], tuple[int, int]],
    pick: Callable[[list[int]], int],
) -> int | None:
    """The time of the sample that is nearest in a window that grows."""
    for reach in REACHES_MS:
        try:
            found = store.select(matchers, *window(reach))
        except QueryLimit:
            return None
        if len(found.t_ms):
            return pick([int(found.t_ms.min()), int(found.t_ms.max())])
    return None


def _clamped(t_ms: int) -> int:
    return min(max(t_ms, FIRST_MS), LAST_MS)
