"""Why a function gave nothing although its arguments have series."""

from __future__ import annotations

import numpy as np

from obs.model.durations import duration_text
from obs.model.ports import SeriesSet
from obs.tsdb.promql.plan import Call, RangeSelector
from obs.tsdb.promql.result import Result
from obs.tsdb.why.reasons import count

BUCKETED = frozenset(("histogram_quantile", "histogram_fraction", "histogram_avg", "histogram_sum", "histogram_count"))
ABSENT = frozenset(("absent", "absent_over_time"))
TWO_SAMPLES = frozenset(("rate", "increase", "delta", "irate", "idelta", "deriv", "predict_linear"))
"""Functions of a window that need two samples in it."""


def too_few(node: Call, window: RangeSelector, found: SeriesSet) -> str | None:
    """That windows are too short for a function that needs two samples in each; `found` is of a longer time."""
    gaps = np.diff(found.t_ms)
    gaps = gaps[gaps > 0]
    if node.name not in TWO_SAMPLES:
        return None
    asked = duration_text(window.range_ms)
    if not len(gaps):
        return f"{node.name} needs two samples in a window, and there is one of each series"
    every = int(np.median(gaps))
    if every * 2 <= window.range_ms:
        return None
    wanted = duration_text(-(-4 * every // 1000) * 1000)
    return (
        f"{node.name} needs two samples in a window, and samples are {duration_text(every)} apart: "
        f"[{asked}] is too short; [{wanted}] would do"
    )


def gave_nothing(node: Call, given: Result | None) -> str:
    """The reason; `given` is the vector it was given."""
    series = count(0 if given is None else len(given.labels), "series")
    if node.name in ABSENT:
        return f"{node.name} gives nothing where there is something: its argument has series"
    if node.name in BUCKETED and given is not None and given.hists is None:
        if node.name not in ("histogram_quantile", "histogram_fraction"):
            return f"{node.name} reads native histograms; the {series} it is given have floats"
        if not any(name == "le" for labels in given.labels for name, _ in labels):
            return f"{node.name} reads native histograms or buckets; the {series} it is given have no label le"
    return f"{node.name} gives nothing for what it is given ({series})"
