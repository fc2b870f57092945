"""What is made of spans on their way into the store: derived metrics, each with its timer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from obs.collector.processors.derived import service_graph
from obs.collector.processors.derived.observed import Observe, Observed
from obs.collector.processors.derived.service_graph import ServiceGraph, ServiceGraphOptions
from obs.collector.processors.derived.span_metrics import SpanMetrics, SpanMetricsOptions
from obs.collector.processors.derived.writer import Writer
from obs.config import DerivedConfig, ProcessorsConfig, ServiceGraphConfig, SpanMetricsConfig
from obs.errors import ConfigError
from obs.model.clock import Clock
from obs.model.ports import Consumer

Store = Callable[..., None]
"""Stores a batch of metrics: `store(batch, receiver=…)`."""


class SpanProcessors:
    """Those that the configuration asks for. Raises: ConfigError.

    `consumer` is what spans are given to: the store itself where nothing is asked for.
    """

    def __init__(self, config: ProcessorsConfig, store: Consumer, metrics: Store, clock: Clock) -> None:
        self._writers: list[Writer] = []
        observers: list[Observe] = []
        if config.span_metrics.enabled:
            observers.append(self._span_metrics(config.span_metrics, metrics, clock))
        if config.service_graph.enabled:
            observers.append(self._service_graph(config.service_graph, metrics, clock))
        self.consumer: Consumer = Observed(store, observers) if observers else store

    def start(self) -> None:
        """Start the timers."""
        for writer in self._writers:
            writer.start()

    def close(self) -> None:
        """Write what was derived, and stop."""
        for writer in self._writers:
            writer.close()

    def _span_metrics(self, config: SpanMetricsConfig, metrics: Store, clock: Clock) -> Observe:
        options = SpanMetricsOptions(
            config.names, config.dimensions, _bounds(config, "span_metrics"), "classic" in config.histograms,
            "native" in config.histograms, config.max_span_names, config.max_series,
        )  # fmt: skip
        made = SpanMetrics(options, clock)
        consume = partial(metrics, receiver="span_metrics")
        self._writers.append(Writer("span-metrics", made.state, made.lock, consume, config.interval, clock))
        return made.observe

    def _service_graph(self, config: ServiceGraphConfig, metrics: Store, clock: Clock) -> Observe:
        bounds = _bounds(config, "service_graph") or service_graph.BOUNDS_S
        options = ServiceGraphOptions(
            config.wait, config.max_pending, bounds, "classic" in config.histograms, "native" in config.histograms,
            config.max_series,
        )  # fmt: skip
        made = ServiceGraph(options, clock)
        consume = partial(metrics, receiver="service_graph")
        self._writers.append(Writer("service-graph", made.state, made.lock, consume, config.interval, clock, made.tick))
        return made.observe


def _bounds(config: DerivedConfig, name: str) -> list[float] | None:
    """Classic buckets. Raises: ConfigError where they do not rise."""
    bounds = config.buckets
    if bounds is not None and (not bounds or any(a >= b for a, b in pairwise(bounds))):
        raise ConfigError(f"processors.{name}.buckets: cannot use {bounds}: they do not rise; list seconds in order")
    return bounds
