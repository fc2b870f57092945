"""What is made of spans on their way into the store: derived metrics, each with its timer, and tail sampling."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from obs.collector.ledger import Ledger
from obs.collector.processors.derived import service_graph
from obs.collector.processors.derived.observed import Observe, Observed
from obs.collector.processors.derived.service_graph import ServiceGraph, ServiceGraphOptions
from obs.collector.processors.derived.span_metrics import SpanMetrics, SpanMetricsOptions
from obs.collector.processors.derived.writer import Writer
from obs.collector.processors.sampling.config import parse
from obs.collector.processors.sampling.sampler import SamplingOptions, TailSampler, leftover
from obs.config import Config, DerivedConfig, ProcessorsConfig, ServiceGraphConfig, SpanMetricsConfig
from obs.errors import ConfigError, ObsError
from obs.model.batch import Signal
from obs.model.clock import Clock
from obs.model.ports import Consumer, Holder

log = logging.getLogger("obs.sampling")

Store = Callable[..., None]
"""Stores a batch of metrics: `store(batch, receiver=…)`."""


class SpanProcessors:
    """Those that the configuration asks for. Raises: ConfigError.

    `consumer` is what spans are given to: the store itself where nothing is asked for.
    """

    def __init__(self, config: Config, store: Consumer, metrics: Store, ledger: Ledger, clock: Clock) -> None:
        self._writers: list[Writer] = []
        self._store, self._folder = store, config.data / "sampling"
        self._sampler = _sampler(config, store, ledger, self._folder, clock)
        self._observe(config.processors, self._sampler or store, metrics, clock)

    def _observe(self, config: ProcessorsConfig, then: Consumer, metrics: Store, clock: Clock) -> None:
        observers: list[Observe] = []
        if config.span_metrics.enabled:
            observers.append(self._span_metrics(config.span_metrics, metrics, clock))
        if config.service_graph.enabled:
            observers.append(self._service_graph(config.service_graph, metrics, clock))
        self.consumer: Consumer = Observed(then, observers) if observers else then

    def start(self) -> None:
        """Start the timers; the store is open. Raises: StorageFull."""
        if self._sampler is not None:
            self._sampler.start()
        else:
            self._take_leftover()
        for writer in self._writers:
            writer.start()

    def _take_leftover(self) -> None:
        """What a store has no room for yet stays in the journal, and keeps nobody from being served."""
        try:
            leftover(self._folder, self._store)
        except ObsError as e:
            log.warning("spans that tail sampling left wait for the next start: %s", e)

    def close(self) -> None:
        """Write what was derived, and stop."""
        for writer in self._writers:
            writer.close()
        if self._sampler is not None:
            self._sampler.close()

    @property
    def holder(self) -> Holder | None:
        """Where spans wait for a decision, if they do."""
        return self._sampler

    def collectors(self) -> Sequence[object]:
        """What they report of themselves."""
        return [self._sampler.counts] if self._sampler is not None else []

    def _span_metrics(self, config: SpanMetricsConfig, metrics: Store, clock: Clock) -> Observe:
        options = SpanMetricsOptions(
            config.names, config.dimensions, _bounds(config, "span_metrics"), "classic" in config.histograms,
            "native" in config.histograms, config.max_span_names, config.max_series,
        )  # fmt: skip
        made = SpanMetrics(options, clock)
        labels = Counter(made.state.families.labels)
        if "" in labels or max(labels.values()) > 1:
            raise ConfigError(
                f"processors.span_metrics.dimensions: cannot use {config.dimensions}: two of them are one label, or "
                "one is empty; name each attribute once"
            )
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


def _sampler(config: Config, store: Consumer, ledger: Ledger, folder: Path, clock: Clock) -> TailSampler | None:
    """The sampler, where there are policies. Raises: ConfigError."""
    given = config.processors.tail_sampling
    if not given.policies:
        return None
    options = SamplingOptions(given.decision_wait, given.memory, given.remembered, config.wal.fsync == "always")
    record = partial(ledger.record, Signal.TRACES, "tail_sampling")
    return TailSampler(options, parse(given.policies), store, record, folder, clock)


def _bounds(config: DerivedConfig, name: str) -> list[float] | None:
    """Classic buckets. Raises: ConfigError where they do not rise."""
    bounds = config.buckets
    if bounds is not None and (not bounds or any(a >= b for a, b in pairwise(bounds))):
        raise ConfigError(f"processors.{name}.buckets: cannot use {bounds}: they do not rise; list seconds in order")
    return bounds
