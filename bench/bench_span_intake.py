"""What spans cost on their way in beside OTLP: decoding Zipkin and Jaeger, derived metrics, tail sampling.

    python bench/bench_span_intake.py [--spans N]

Prints CPU seconds for a million spans of each step, alone and on one thread.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from obs.collector.processors.derived.service_graph import ServiceGraph, ServiceGraphOptions
from obs.collector.processors.derived.span_metrics import SpanMetrics, SpanMetricsOptions
from obs.collector.processors.sampling.config import parse
from obs.collector.processors.sampling.sampler import SamplingOptions, TailSampler
from obs.collector.receivers.jaeger.columns import from_body
from obs.collector.receivers.jaeger.spans import from_thrift
from obs.collector.receivers.zipkin import columns
from obs.collector.receivers.zipkin.messages import from_json
from obs.collector.receivers.zipkin.spans import spans
from obs.model.batch import Batch, Signal
from obs.model.clock import SYSTEM_CLOCK
from obs.otlp.spans import decoded

BODY_SPANS, TRACE_SPANS = 1000, 8
POLICIES = [
    {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
    {"name": "slow", "type": "latency", "latency": {"threshold_ms": 900}},
    {"name": "rest", "type": "probabilistic", "probabilistic": {"sampling_percentage": 1}},
]


def zipkin_body(seed: int) -> bytes:
    """1,000 spans of eight to a trace, eight tags each."""
    at, now_us = random.Random(seed), time.time_ns() // 1000
    found = []
    for i in range(BODY_SPANS):
        trace, position = divmod(i, TRACE_SPANS)
        found.append({
            "traceId": f"{seed + 1:016x}{trace + 1:016x}", "id": f"{position + 1:016x}",
            "parentId": f"{(position + 1) // 2:016x}" if position else None, "name": f"operation {at.randrange(40)}",
            "kind": ("SERVER", "CLIENT")[position % 2], "timestamp": now_us, "duration": at.randrange(1, 10**6),
            "localEndpoint": {"serviceName": f"service-{position}"},
            "tags": {f"key{k}": f"value {at.randrange(100)}" for k in range(8)},
        })  # fmt: skip
    return json.dumps(found).encode()


def jaeger_body(seed: int) -> bytes:
    """The same as a Thrift batch."""
    at, now_us = random.Random(seed), time.time_ns() // 1000

    def text(field: int, value: str) -> bytes:
        return struct.pack(">bhi", 11, field, len(value)) + value.encode()

    def number(field: int, value: int) -> bytes:
        return struct.pack(">bhq", 10, field, value)

    rows = []
    for i in range(BODY_SPANS):
        trace, position = divmod(i, TRACE_SPANS)
        tags = b"".join(
            text(1, f"key{k}") + struct.pack(">bhi", 8, 2, 0) + text(3, f"value {at.randrange(100)}") + b"\0"
            for k in range(8)
        )
        rows.append(
            number(1, trace + 1) + number(2, seed + 1) + number(3, position + 1) + number(4, (position + 1) // 2)
            + text(5, f"operation {at.randrange(40)}") + number(8, now_us) + number(9, at.randrange(10**6))
            + struct.pack(">bhbi", 15, 10, 12, 8) + tags + b"\0"
        )  # fmt: skip
    process = struct.pack(">bh", 12, 1) + text(1, "service-1") + b"\0"
    return process + struct.pack(">bhbi", 15, 2, 12, len(rows)) + b"".join(rows) + b"\0"


def cpu_per_million(step: Callable[[int], None], bodies: int) -> float:
    """CPU seconds that a million spans would take, after one body to warm up."""
    step(0)
    began = time.process_time()
    for at in range(bodies):
        step(at)
    return (time.process_time() - began) / (bodies * BODY_SPANS) * 1e6


class Nowhere:
    """A store that keeps nothing."""

    def consume(self, batch: Batch) -> None:
        """Forget."""


def sampler_step(tables: list[pa.RecordBatch], folder: Path) -> Callable[[int], None]:
    """Taking a body, and a decision with every tenth."""
    options = SamplingOptions(decision_wait_s=0.0)
    sampler = TailSampler(options, parse(POLICIES), Nowhere(), lambda kept, dropped: None, folder, SYSTEM_CLOCK)
    sampler.open()

    def step(at: int) -> None:
        sampler.consume(Batch(Signal.TRACES, {"spans": tables[at % len(tables)]}))
        if at % 10 == 9:
            sampler.tick(time.time() + 1)

    return step


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--spans", type=int, default=100_000)
    bodies = arguments.parse_args().spans // BODY_SPANS
    zipkin, jaeger = [zipkin_body(seed) for seed in range(bodies)], [jaeger_body(seed) for seed in range(bodies)]
    tables = [decoded(spans(from_json(body), 0)).batch.tables["spans"] for body in zipkin]
    metrics, graph = SpanMetrics(SpanMetricsOptions(), SYSTEM_CLOCK), ServiceGraph(ServiceGraphOptions(), SYSTEM_CLOCK)

    def graph_step(at: int) -> None:
        graph.observe(tables[at])
        if at % 10 == 9:
            graph.tick(time.time())

    with tempfile.TemporaryDirectory() as folder:
        steps: list[tuple[str, Callable[[int], None]]] = [
            ("decode Zipkin v2 JSON", lambda at: void(columns.from_json(zipkin[at], 0))),
            ("Zipkin's span by span", lambda at: void(decoded(spans(from_json(zipkin[at]), 0)))),
            ("decode Jaeger Thrift", lambda at: void(from_body(jaeger[at]))),
            ("Jaeger's span by span", lambda at: void(decoded(from_thrift(jaeger[at])))),
            ("span metrics", lambda at: metrics.observe(tables[at])),
            ("service graph", graph_step),
            ("tail sampling, journal included", sampler_step(tables, Path(folder))),
        ]
        shown = Table("step", "CPU s per million spans")
        for name, step in steps:
            shown.add_row(name, f"{cpu_per_million(step, bodies):.2f}")
    Console().print(shown)


def void(_: object) -> None:
    """Let it go."""


if __name__ == "__main__":
    main()
