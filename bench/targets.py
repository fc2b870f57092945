"""Writes the description of obs that a side-by-side load driver reads: how to start it, where to send, what to ask.

usage: bench/targets.py > targets.json ; then give it to the driver together with a folder of OTLP bodies.
One entry a signal, each with its own empty data folder, so that bytes on disk are per item of that signal.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "http://127.0.0.1:9610"
DATA = "/tmp/obs-bench"

LOGS = f"{ADDRESS}/loki/api/v1/query"
TRACES = f"{ADDRESS}/api/traces/search"
METRICS = f"{ADDRESS}/api/v1/query_range"


def logs_queries() -> dict[str, str]:
    """The questions of the log load."""

    def ask(query: str) -> str:
        return f"{LOGS}?time={{end_ns}}&query={quote(query)}"

    return {
        "needle that is absent": f"{LOGS}_range?start={{start_ns}}&end={{end_ns}}&limit=10&query="
        + quote('{service_name=~".+"} |= "xyzzyabsent"'),
        "phrase count": ask('sum(count_over_time({service_name=~".+"} |= "reset by peer" [2h]))'),
        "regex count": ask('sum(count_over_time({service_name=~".+"} |~ "took [0-9]{3,}ms" [2h]))'),
        "errors by service": ask(
            'sum by (service_name) (count_over_time({service_name=~".+"} | detected_level="error" [2h]))'
        ),
    }


def traces_queries() -> dict[str, str]:
    """The questions of the span load."""
    span = "start={start_ns}&end={end_ns}&limit=20"
    return {
        "20 traces of a service": f"{TRACES}?service=checkout&{span}",
        "slower than 200 ms": f"{TRACES}?minDuration=200ms&{span}",
        "by a tag": f"{TRACES}?tags={quote('user.id=u77')}&{span}",
        "longest 20": f"{TRACES}?order=duration&{span}",
        "dependencies": f"{ADDRESS}/jaeger/api/dependencies?endTs=1999999999999&lookback=999999999999",
    }


def metrics_queries() -> dict[str, str]:
    """The questions of the metric load."""

    def ask(query: str) -> str:
        return f"{METRICS}?start={{start}}&end={{end}}&step=60&query={quote(query)}"

    return {
        "rate by job, all counters": ask('sum by (job) (rate({__name__=~"shop_requests_.*"}[5m]))'),
        "rate by job, one metric": ask("sum by (job) (rate(shop_requests_1_total[5m]))"),
        "one raw series": ask('shop_queue_depth_2{shard="400"}'),
        "max over time": ask('max by (instance) (max_over_time({__name__=~"shop_queue_depth_.*"}[1h]))'),
    }


def target(signal: str, queries: dict[str, str]) -> dict[str, Any]:
    """One entry."""
    data = f"{DATA}-{signal}"
    ports = ["--listen", "127.0.0.1:9610", "--otlp-grpc", "127.0.0.1:9611", "--otlp-http", "127.0.0.1:9612"]
    return {
        "name": f"obs-{signal}",
        "start": [sys.executable, "-m", "obs.cli.main", "up", "--data", data, "--no-agent", *ports],
        "cwd": str(ROOT),
        "ready": f"{ADDRESS}/-/ready",
        "data": data,
        "ingest": {signal: f"{ADDRESS}/v1/{signal}"},
        "flush": [f"{ADDRESS}/internal/flush"],
        "queries": queries,
    }


if __name__ == "__main__":
    entries = {"traces": traces_queries(), "logs": logs_queries(), "metrics": metrics_queries()}
    json.dump([target(signal, queries) for signal, queries in entries.items()], sys.stdout, indent=1)
