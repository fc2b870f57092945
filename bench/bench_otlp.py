"""How many items a second one core decodes, from request bytes to RecordBatch, by kernels and the plain way.

usage: bench_otlp.py [FOLDER] [--passes N] [--compile]
FOLDER holds bodies named traces-*.pb, logs-*.pb, metrics-*.pb; without it, bodies of 2,000 items are made up.
Each figure is the best pass in thread CPU time. --compile also times the kernels from an empty cache and a full one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from obs import otlp, warm
from obs.model.batch import Decoded

Decoder = Callable[[bytes], Decoded]
NOW = 1_700_000_000_000_000_000


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def made_up() -> dict[str, list[bytes]]:
    """One body of 2,000 items of each signal; of metrics one of gauges, one of counters that say when they began."""
    resource = Resource(attributes=[text("service.name", "shop"), text("host.name", "node-1")])
    scope = InstrumentationScope(name="bench", version="1")
    spans, records, points, counted = [], [], [], []
    for i in range(2000):
        own = [text(f"attribute.key.{k}", f"value-{k}-{i % 50}") for k in range(6)]
        own += [KeyValue(key=k, value=AnyValue(int_value=i)) for k in ("thread.id", "http.status")]
        ids = {"trace_id": i.to_bytes(15, "big") + b"\1", "span_id": i.to_bytes(7, "big") + b"\1"}
        spans.append(
            Span(name=f"op{i % 9}", start_time_unix_nano=NOW + i, end_time_unix_nano=NOW + 2 * i, attributes=own, **ids)
        )
        body = AnyValue(string_value=f"GET /cart/{i} 200 took {i % 99} ms")
        records.append(LogRecord(time_unix_nano=NOW + i, severity_number=9, body=body, attributes=own[:2], **ids))
        points.append(NumberDataPoint(time_unix_nano=NOW, as_double=i / 7, attributes=[*own[:3], text("i", str(i))]))
        counted.append(NumberDataPoint())
        counted[-1].CopyFrom(points[-1])
        counted[-1].start_time_unix_nano = NOW - 3600 * 10**9
    cumulative = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    gauges = Metric(name="bench.size", gauge=Gauge(data_points=points))
    counters = Metric(
        name="bench.sent", sum=Sum(data_points=counted, is_monotonic=True, aggregation_temporality=cumulative)
    )

    def metrics(metric: Metric) -> MetricsData:
        scopes = [ScopeMetrics(scope=scope, metrics=[metric])]
        return MetricsData(resource_metrics=[ResourceMetrics(resource=resource, scope_metrics=scopes)])

    messages = {
        "traces": TracesData(
            resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(scope=scope, spans=spans)])]
        ),
        "logs": LogsData(
            resource_logs=[ResourceLogs(resource=resource, scope_logs=[ScopeLogs(scope=scope, log_records=records)])]
        ),
        "metrics": metrics(gauges),
        "counters": metrics(counters),
    }
    return {signal: [message.SerializeToString()] * 20 for signal, message in messages.items()}


def bodies_in(folder: Path) -> dict[str, list[bytes]]:
    """The bodies in a folder, by signal."""
    return {s: [p.read_bytes() for p in sorted(folder.glob(f"{s}-*.pb"))] for s in ("traces", "logs", "metrics")}


def with_cache(decode: Callable[[bytes, otlp.SeriesCache], Decoded]) -> Decoder:
    """A metrics decoder that commits what it decodes, as a receiver does."""
    cache = otlp.SeriesCache()

    def both(body: bytes) -> Decoded:
        decoded = decode(body, cache)
        cache.commit(decoded)
        return decoded

    return both


def best_rate(decode: Decoder, bodies: list[bytes], passes: int) -> float:
    """Items a second, the best of some passes."""
    best = 0.0
    for _ in range(passes):
        start = time.thread_time()
        items = sum(decode(body).batch.items for body in bodies)
        best = max(best, items / (time.thread_time() - start))
    return best


def time_compile() -> None:
    """Print how long the kernels take from an empty cache, and from a full one."""
    code = (
        "import time; c, w = time.process_time(), time.time(); from obs import warm; warm.load_now('obs.otlp.kernels');"
        "print(f'{time.process_time() - c:6.2f} s CPU {time.time() - w:6.2f} s wall')"
    )
    with tempfile.TemporaryDirectory() as folder:
        for what in ("empty", "full"):
            out = subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "NUMBA_CACHE_DIR": folder},
                capture_output=True,
                text=True,
                check=True,
            )
            print(f"kernels, cache {what:5}  {out.stdout.strip()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    if arguments.compile:
        time_compile()
    bodies = bodies_in(arguments.folder) if arguments.folder else made_up()
    plain: dict[str, Decoder] = {
        "traces": otlp.decode_traces,
        "logs": otlp.decode_logs,
        "metrics": with_cache(otlp.decode_metrics),
        "counters": with_cache(otlp.decode_metrics),
    }
    plain = {signal: decode for signal, decode in plain.items() if bodies.get(signal)}
    slow = {signal: best_rate(plain[signal], bodies[signal][:5], 2) for signal in plain}
    warm.load_now(otlp.KERNELS)
    print(f"{'signal':8} {'bytes/body':>10} {'plain/s':>12} {'kernels/s':>12}")
    for signal, decode in plain.items():
        size = sum(map(len, bodies[signal])) // len(bodies[signal])
        fast = best_rate(decode, bodies[signal], arguments.passes)
        print(f"{signal:8} {size:10,} {slow[signal]:12,.0f} {fast:12,.0f}")


if __name__ == "__main__":
    main()
