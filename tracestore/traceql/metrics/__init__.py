"""Metrics out of spans, one function a file; this table is all of them (compare() has a form of its own).

`run` goes over head and blocks, `cells` counts, `series` is what comes out, `later` what may follow a metric.
"""

from __future__ import annotations

from obs.tracestore.traceql.metrics import (
    avg_over_time,
    count_over_time,
    histogram_over_time,
    max_over_time,
    min_over_time,
    quantile_over_time,
    rate,
    sum_over_time,
)
from obs.tracestore.traceql.metrics.measure import Measure

MEASURES: dict[str, Measure] = {
    module.MEASURE.name: module.MEASURE
    for module in (
        rate, count_over_time, min_over_time, max_over_time, avg_over_time, sum_over_time, histogram_over_time,
        quantile_over_time,
    )
}  # fmt: skip

__all__ = ["MEASURES", "Measure"]
