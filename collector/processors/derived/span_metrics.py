"""Span metrics: calls, durations and bytes by service, span name, kind and status, and by attributes where asked.

Source: grafana.com/docs/tempo, "Span metrics"; opentelemetry-collector-contrib, connector/spanmetricsconnector.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from obs.collector.processors.derived import columns as read
from obs.collector.processors.derived.families import Counter, Families, Histogram
from obs.collector.processors.derived.span_names import SpanNames
from obs.collector.processors.derived.state import OTHER, Exemplar, Floats, Ints, Key, State, grouped, tally
from obs.model.clock import Clock
from obs.otlp.naming import label_name

KINDS = tuple(f"SPAN_KIND_{k}" for k in ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"))
STATUSES = tuple(f"STATUS_CODE_{s}" for s in ("UNSET", "OK", "ERROR"))

TEMPO_BOUNDS_S = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.02, 2.05, 4.1)
"""Tempo's default buckets."""

OTEL_BOUNDS_MS = (2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000)
"""The connector's."""

OWN_LABELS = ("service", "service_name", "span_name", "span_kind", "status_code", "le", "job", "instance")

CALLS, SIZE = 0, 1


@dataclass(frozen=True, slots=True)
class SpanMetricsOptions:
    """How they are made. `names`: `tempo` or `otel`; `bounds_s`: classic buckets in seconds, None: the names' own."""

    names: str = "tempo"
    dimensions: Sequence[str] = ()
    bounds_s: Sequence[float] | None = None
    classic: bool = True
    native: bool = False
    max_span_names: int = 500
    max_keys: int = 20_000


def families(options: SpanMetricsOptions) -> Families:
    """The metrics under the names asked for."""
    more = tuple(_label(dimension) for dimension in options.dimensions)
    if options.names == "otel":
        bounds = tuple(float(b) for b in OTEL_BOUNDS_MS)
        if options.bounds_s is not None:
            bounds = tuple(b * 1000 for b in options.bounds_s)
        return Families(
            ("service_name", "span_name", "span_kind", "status_code", *more),
            (Counter("traces_span_metrics_calls_total", "Spans."),),
            (Histogram("traces_span_metrics_duration_milliseconds", "Durations of spans.", bounds, 1000.0),),
            options.classic, options.native,
        )  # fmt: skip
    bounds = tuple(options.bounds_s) if options.bounds_s is not None else TEMPO_BOUNDS_S
    return Families(
        ("service", "span_name", "span_kind", "status_code", *more),
        (Counter("traces_spanmetrics_calls_total", "Spans."),
         Counter("traces_spanmetrics_size_total", "Bytes of spans, those of a batch shared evenly.")),
        (Histogram("traces_spanmetrics_latency", "Durations of spans.", bounds),),
        options.classic, options.native,
    )  # fmt: skip


def _label(dimension: str) -> str:
    """An attribute's label; where it is one of ours it is set apart, as in Tempo."""
    name = label_name(dimension)
    return f"__{name}" if name in OWN_LABELS else name


class SpanMetrics:
    """Observes batches of spans; `state` under `lock` is what it saw."""

    def __init__(self, options: SpanMetricsOptions, clock: Clock) -> None:
        self._options, self._clock = options, clock
        self.lock = threading.Lock()
        self.state = State(families(options), options.max_keys)
        self._names = SpanNames(options.max_span_names)
        self.state.on_forget = self._names.keep

    def observe(self, spans: pa.RecordBatch) -> None:
        """Count a batch."""
        n = spans.num_rows
        service = read.text_column(spans, "resource.service.name:str")
        texts = [read.coded(service, n), read.coded(spans.column("name"), n)]
        texts += [read.coded(read.attribute(spans, key), n) for key in self._options.dimensions]
        kind, status = (
            read.Coded(spans.column(name).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64), list(words))
            for name, words in (("kind", KINDS), ("status_code", STATUSES))
        )
        parts = [*texts[:2], kind, status, *texts[2:]]
        first, group = grouped([part.with_size for part in parts])
        durations, weights = read.durations_s(spans), read.weights(spans)
        counts = tally(group, weights, len(first))
        now_ns = self._clock.now_ns()
        with self.lock:
            rows = self.state.rows([self._key([p.texts[p.codes[row]] for p in parts]) for row in first])
            self.state.count(rows, CALLS, counts)
            if len(self.state.families.counters) > SIZE:
                self.state.count(rows, SIZE, counts * (spans.nbytes / max(n, 1)))
            self.state.observe(rows, 0, group, durations, weights)
            self.state.touch(rows, now_ns / 1e9)
            self._show(spans, rows, group, durations, now_ns // 1_000_000)

    def _key(self, texts: list[str]) -> Key:
        name = self._names(texts[0], texts[1])
        more = texts[4:] if name != OTHER else [""] * len(texts[4:])
        return (texts[0], name, *texts[2:4], *more)

    def _show(self, spans: pa.RecordBatch, rows: Ints, group: Ints, durations: Floats, now_ms: int) -> None:
        """Exemplars: the slowest span of each group, where it is slower than the one there."""
        order = np.argsort(durations, kind="stable")
        slowest = np.zeros(len(rows), np.int64)
        slowest[group[order]] = order
        per_s = self.state.families.histograms[0].per_s
        for row, at in zip(rows.tolist(), slowest.tolist(), strict=True):
            value = float(durations[at] * per_s)
            known = self.state.exemplars.get((row, 0))
            if known is None or value > known.value:
                ids = read.one(spans.column("trace_id"), at), read.one(spans.column("span_id"), at)
                self.state.show(row, 0, Exemplar(value, now_ms, *ids))
