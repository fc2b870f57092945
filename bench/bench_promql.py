"""How long PromQL takes over columns in memory: 2,000 series of 5,760 jittered samples, 1,440 steps. Prints a table.

python bench/bench_promql.py [--series 2000] [--runs 3]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np

from obs.model.labels import Matcher, make_labels
from obs.model.ports import SeriesSet
from obs.tsdb.promql import PromQL, encode, kernels_rates, warm
from obs.tsdb.promql.parse import parse

SAMPLES, GAP_MS, STEPS = 5_760, 15_000, 1_440
QUERIES = [
    "rate(requests_total[5m])",
    "sum by (job) (rate(requests_total[5m]))",
    "sum(rate(requests_total[1h]))",
    "max_over_time(requests_total[5m])",
    "avg_over_time(requests_total[5m])",
    "quantile_over_time(0.9, requests_total[5m])",
    "sum by (job) (requests_total)",
    "requests_total / on (job, instance) requests_total",
    "topk(5, rate(requests_total[5m]))",
    "histogram_quantile(0.9, sum by (le) (rate(requests_total[5m])))",
]


class Columns:
    """A source that gives out the same columns whatever is asked, cut to the time range by the kernels."""

    def __init__(self, series: int) -> None:
        rng = np.random.default_rng(1)
        grid = np.arange(SAMPLES, dtype=np.int64) * GAP_MS
        times = (grid + rng.integers(0, 2_000, (series, SAMPLES))).ravel()
        values = np.cumsum(rng.integers(0, 10, (series, SAMPLES)), axis=1, dtype=np.float64).ravel()
        offsets = np.arange(series + 1, dtype=np.int64) * SAMPLES
        self.found = SeriesSet([_labels(i) for i in range(series)], offsets, times, values)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SeriesSet:
        """All of it."""
        return self.found


def _labels(i: int) -> tuple[tuple[str, str], ...]:
    le = str(2.0 ** (i % 10)) if i % 10 < 9 else "+Inf"
    return make_labels({"__name__": "requests_total", "job": f"job-{i % 20}", "instance": f"host-{i}", "le": le})


def best(runs: int, work: Callable[[], object]) -> float:
    """The least CPU time of some runs, in milliseconds: all of it is one thread, and the machine may be busy."""
    times = []
    for _ in range(runs):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times) * 1000


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--series", type=int, default=2_000)
    arguments.add_argument("--runs", type=int, default=3)
    options = arguments.parse_args()
    print(f"warm: {best(1, warm):,.0f} ms")
    source = Columns(options.series)
    promql = PromQL(source)
    end = (SAMPLES - 1) * GAP_MS
    step = end // STEPS
    s = source.found
    ends = np.arange(1, STEPS + 1, dtype=np.int64) * step
    print(f"{len(s.values):,} samples, {options.series:,} series, {STEPS:,} steps; CPU time, best of {options.runs}")
    given = (s.offsets, s.t_ms, s.values, ends, 300_000, True, True)
    kernel = best(options.runs, lambda: kernels_rates.extrapolated(*given))
    print(f"{kernel:10,.1f} ms  kernel of rate alone")
    for query in QUERIES:
        took = best(options.runs, lambda q=query: promql.query_range(q, step, end, step))  # type: ignore[misc]
        print(f"{took:10,.1f} ms  {query}")
    result = promql.query_range(QUERIES[0], step, end, step)
    print(f"{best(1, lambda: encode.data(result)):10,.1f} ms  JSON of {int(result.present.sum()):,} points")
    print(f"{best(100, lambda: parse(QUERIES[1])):10,.3f} ms  parse {QUERIES[1]}")
    print(f"{best(100, lambda: promql.query('vector(1)', 0)):10,.3f} ms  instant vector(1)")


if __name__ == "__main__":
    main()
