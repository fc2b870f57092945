"""Writes the description of obs that a side-by-side load driver reads: how to start it, where to send, what to ask.

usage: bench/targets.py [--load otlp|remote_write] [--victoria-metrics PATH] [--victoria-logs PATH] [--prometheus PATH]
Give what it prints (targets.json) to the driver together with a folder of bodies of that load. One entry a server and
signal, each with its own empty data folder, so that bytes on disk are per item of that signal. Peers are run from the
paths given.
"""

from __future__ import annotations

import argparse
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


def remote_write_queries(address: str) -> dict[str, str]:
    """The questions of the remote write load, for any server with Prometheus's API."""

    def ask(query: str) -> str:
        return f"{address}/api/v1/query_range?start={{start}}&end={{end}}&step=60&query={quote(query)}"

    ranges = {
        "rate by job, all counters": ask('sum by (job)(rate({__name__=~"http_requests_.*"}[5m]))'),
        "rate by job, one metric": ask("sum by (job)(rate(http_requests_1_total[5m]))"),
        "one raw series": ask('queue_depth_2{shard="1000"}'),
        "max over an hour": ask('max by (instance)(max_over_time({__name__=~"queue_depth_.*"}[1h]))'),
        "quantile over time": ask("quantile_over_time(0.9, queue_depth_2[10m])"),
    }
    return {
        **ranges,
        **{f"{name}, worked out anew": f"{url}&nocache=1" for name, url in ranges.items()},
        "topk, instant": f"{address}/api/v1/query?time={{end}}&query="
        + quote('topk(10, rate({__name__=~"http_requests_.*"}[5m]))'),
    }


def target(signal: str, path: str, queries: dict[str, str]) -> dict[str, Any]:
    """One entry of obs."""
    data = f"{DATA}-{signal}"
    ports = ["--listen", "127.0.0.1:9610", "--otlp-grpc", "127.0.0.1:9611", "--otlp-http", "127.0.0.1:9612"]
    return {
        "name": f"obs-{signal}",
        "start": [sys.executable, "-m", "obs.cli.main", "up", "--data", data, "--no-agent", *ports],
        "cwd": str(ROOT),
        "ready": f"{ADDRESS}/-/ready",
        "data": data,
        "ingest": {signal: f"{ADDRESS}{path}"},
        "flush": [f"{ADDRESS}/internal/flush", f"{ADDRESS}/internal/force_merge"],
        "queries": queries,
    }


def victoria_metrics(binary: str, signal: str, path: str) -> dict[str, Any]:
    """An entry of VictoriaMetrics."""
    address, data = "http://127.0.0.1:9620", f"{DATA}-victoria-metrics"
    return {
        "name": f"victoria-metrics-{signal}",
        "start": [binary, f"-storageDataPath={data}", "-httpListenAddr=127.0.0.1:9620", "-retentionPeriod=10y"],
        "ready": f"{address}/health",
        "data": data,
        "ingest": {signal: address + path},
        "flush": [f"{address}/internal/force_flush", f"{address}/internal/force_merge"],
        "queries": remote_write_queries(address) if signal == "remote_write" else {},
    }


def victoria_logs(binary: str) -> dict[str, Any]:
    """An entry of VictoriaLogs, asked what `logs_queries` asks."""
    address, data = "http://127.0.0.1:9640", f"{DATA}-victoria-logs"

    def ask(query: str) -> str:
        return f"{address}/select/logsql/query?start={{start_ns}}&end={{end_ns}}&limit=10&query={quote(query)}"

    return {
        "name": "victoria-logs",
        "start": [binary, f"-storageDataPath={data}", "-httpListenAddr=127.0.0.1:9640", "-retentionPeriod=10y"],
        "ready": f"{address}/health",
        "data": data,
        "ingest": {"logs": f"{address}/insert/opentelemetry/v1/logs"},
        "flush": [f"{address}/internal/force_flush", f"{address}/internal/force_merge"],
        "queries": {
            "needle that is absent": ask('"xyzzyabsent"'),
            "phrase count": ask('"reset by peer" | stats count() n'),
            "regex count": ask('~"took [0-9]{3,}ms" | stats count() n'),
            "errors by service": ask("severity_text:=ERROR | stats by (service.name) count() n"),
        },
    }


def prometheus(binary: str) -> dict[str, Any]:
    """An entry of Prometheus, which takes remote write."""
    address, data = "http://127.0.0.1:9630", f"{DATA}-prometheus"
    config = Path(f"{DATA}-prometheus.yml")
    config.write_text("global: {}\n")
    return {
        "name": "prometheus-remote_write",
        "start": [binary, f"--storage.tsdb.path={data}", "--web.listen-address=127.0.0.1:9630",
                  f"--config.file={config}", "--web.enable-remote-write-receiver", "--log.level=error"],
        "ready": f"{address}/-/ready",
        "data": data,
        "ingest": {"remote_write": f"{address}/api/v1/write"},
        "queries": remote_write_queries(address),
    }  # fmt: skip


def main() -> None:
    """Print the entries."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", choices=("otlp", "remote_write"), default="otlp")
    parser.add_argument("--victoria-metrics", default="")
    parser.add_argument("--victoria-logs", default="")
    parser.add_argument("--prometheus", default="")
    given = parser.parse_args()
    if given.load == "otlp":
        queries = {"traces": traces_queries(), "logs": logs_queries(), "metrics": metrics_queries()}
        entries = [target(signal, f"/v1/{signal}", queries[signal]) for signal in queries]
        entries += [victoria_logs(given.victoria_logs)] if given.victoria_logs else []
        peer = ("metrics", "/opentelemetry/v1/metrics")
    else:
        entries = [target("remote_write", "/api/v1/write", remote_write_queries(ADDRESS))]
        entries += [prometheus(given.prometheus)] if given.prometheus else []
        peer = ("remote_write", "/api/v1/write")
    entries += [victoria_metrics(given.victoria_metrics, *peer)] if given.victoria_metrics else []
    json.dump(entries, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
