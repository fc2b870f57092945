"""What tail sampling did, as metrics: every decision by policy, and what came of traces and spans."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


class Counts:
    """Counters by their labels; `pending` gives (spans, bytes) that wait."""

    def __init__(self, pending: Callable[[], tuple[int, int]]) -> None:
        self._lock, self._pending = threading.Lock(), pending
        self._policies: Counter[tuple[str, str]] = Counter()
        self._traces: Counter[str] = Counter()
        self._spans: Counter[str] = Counter()

    def policy(self, name: str, kept: int, out: int) -> None:
        """A policy decided on traces."""
        with self._lock:
            self._policies[name, "sampled"] += kept
            self._policies[name, "not_sampled"] += out

    def traces(self, outcome: str, count: int) -> None:
        """Traces were decided."""
        with self._lock:
            self._traces[outcome] += count

    def spans(self, outcome: str, count: int) -> None:
        """Spans were decided."""
        with self._lock:
            self._spans[outcome] += count

    def collect(self) -> Iterator[Metric]:
        """As metric families (a prometheus_client collector)."""
        policies = CounterMetricFamily(
            "obs_tail_sampling_decisions", "What each policy said of traces.", labels=["policy", "decision"]
        )
        traces = CounterMetricFamily("obs_tail_sampling_traces", "Traces that were decided.", labels=["decision"])
        spans = CounterMetricFamily("obs_tail_sampling_spans", "Spans that were decided.", labels=["decision"])
        with self._lock:
            for labels, count in self._policies.items():
                policies.add_metric(labels, count)
            for family, counted in ((traces, self._traces), (spans, self._spans)):
                for outcome, count in counted.items():
                    family.add_metric([outcome], count)
        waiting, nbytes = self._pending()
        yield from (policies, traces, spans)
        yield GaugeMetricFamily("obs_tail_sampling_pending_spans", "Spans that wait for a decision.", waiting)
        yield GaugeMetricFamily("obs_tail_sampling_pending_bytes", "Memory of them.", nbytes)
