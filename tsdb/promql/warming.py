"""Calls every kernel once on a handful of samples, so that no query waits for a compiler."""

from __future__ import annotations

from obs.tsdb.promql.context import QueryOptions
from obs.tsdb.promql.engine import PromQL
from obs.tsdb.promql.scripts.memory import MemorySource

_WINDOWED = [
    "rate", "increase", "delta", "irate", "idelta", "deriv", "changes", "resets", "avg_over_time", "sum_over_time",
    "count_over_time", "max_over_time", "min_over_time", "mad_over_time", "stddev_over_time", "last_over_time",
]  # fmt: skip
_QUERIES = [
    *(f"{name}(m[5m])" for name in _WINDOWED),
    *(f"{name}(m)" for name in ("sum", "avg", "count", "max", "stddev")),
    "topk(1, m)",
    "quantile(0.5, m)",
    "quantile_over_time(0.5, m[5m])",
    "predict_linear(m[5m], 60)",
    "double_exponential_smoothing(m[5m], 0.5, 0.5)",
]


def warm() -> None:
    """Run them all."""
    source = MemorySource()
    for t in range(5):
        source.add((("__name__", "m"),), t * 60_000, float(t))
    promql = PromQL(source, QueryOptions())
    for query in _QUERIES:
        promql.query_range(query, 0, 300_000, 60_000)
    from obs.tsdb.promql import kernels_rates, kernels_text

    kernels_rates.warm()
    kernels_text.warm()
