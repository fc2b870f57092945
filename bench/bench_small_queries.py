"""What do small PromQL questions cost over a stored load: CPU of query and JSON, with row groups decoded and not?

python bench/bench_small_queries.py DATA/metrics --end 1795933207 [--hours 6] [--runs 30]

DATA: of a server that took the shared remote write load (5,000 series × 1,440 points) and was stopped. CPU, best of
some runs: other work beside moves it less than the time that passes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from obs import warm
from obs.columnar.memory import keep_little
from obs.columnar.options import EngineOptions
from obs.tsdb.compiled import KERNELS
from obs.tsdb.groups import GroupCache
from obs.tsdb.promql import PromQL, encode
from obs.tsdb.store import MetricStore

STEP_MS = 60_000
RANGES = ['queue_depth_2{shard="1010"}', "sum by (job)(rate(http_requests_2_total[5m]))"]
INSTANTS = ['topk(10, rate({__name__=~"http_requests_.*"}[5m]))']


def best(runs: int, work: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """The least CPU time of some runs, milliseconds."""
    times = []
    for _ in range(runs):
        before()
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times) * 1000


def forget(cache: GroupCache) -> None:
    """Drop what is decoded."""
    cache._groups.clear()
    cache.nbytes = 0


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("metrics", type=Path)
    arguments.add_argument("--end", type=int, required=True, help="seconds since 1970")
    arguments.add_argument("--hours", type=float, default=6.0)
    arguments.add_argument("--runs", type=int, default=30)
    options = arguments.parse_args()
    keep_little()
    warm.load_now(KERNELS)
    store = MetricStore(options.metrics, EngineOptions())
    store.open()
    promql, end = PromQL(store), options.end * 1000
    start = end - int(options.hours * 3_600_000)
    cache = store._reader.cache
    works: dict[str, Callable[[], object]] = {
        q: lambda q=q: encode.data(promql.query_range(q, start, end, STEP_MS)) for q in RANGES
    }
    works |= {q: lambda q=q: encode.data(promql.query(q, end)) for q in INSTANTS}
    for query, work in works.items():
        work()
        warm_ms = best(options.runs, work)
        cold_ms = best(max(options.runs // 4, 1), work, lambda: forget(cache))
        print(f"{cold_ms:8,.2f} ms not decoded  {warm_ms:8,.2f} ms decoded  {query}")
    store.close()


if __name__ == "__main__":
    main()
