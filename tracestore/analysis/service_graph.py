"""The service graph with its figures: calls a second, share of errors and latency percentiles of each edge."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from obs.tracestore.buckets import quantile_ns
from obs.tracestore.graph import GraphEdge

QUANTILES = {"p50Ns": 0.5, "p90Ns": 0.9, "p99Ns": 0.99}


def edge_figures(edges: Iterable[GraphEdge], range_ns: tuple[int, int]) -> list[dict[str, Any]]:
    """One entry an edge; `range_ns` is what rates are taken over. Percentiles are off by 1.6 % at most."""
    seconds = max(range_ns[1] - range_ns[0], 1) / 1e9
    return [
        {
            "parent": e.parent, "child": e.child, "calls": e.calls, "errors": e.errors, "durationNs": e.duration_ns,
            "callsPerSecond": e.calls / seconds, "errorRatio": e.errors / e.calls,
            **{name: quantile_ns(e.buckets, q) for name, q in QUANTILES.items()},
        }
        for e in edges
    ]  # fmt: skip
