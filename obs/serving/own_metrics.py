"""Our own metrics: exposed at /metrics and, on a timer, written into our own store.

In: prometheus_client collectors. Out: text, or a metrics batch with job="obs".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from obs.collector.ledger import Ledger
from obs.collector.pipeline import Pipeline
from obs.errors import ObsError
from obs.model.batch import Batch, Signal
from obs.model.build import metrics_batch
from obs.model.clock import Clock
from obs.model.labels import METRIC_NAME, Labels, make_labels
from obs.model.ports import Store

log = logging.getLogger("obs.own_metrics")
RECEIVER = "self"


class StoreCollector:
    """The stores' `stats()` as metric families."""

    def __init__(self, stores: Mapping[Signal, Store]) -> None:
        self._stores = stores

    def collect(self) -> Iterator[Metric]:
        """Gauges by store."""
        head = GaugeMetricFamily("obs_store_head_items", "Items in memory, not yet in blocks.", labels=["store"])
        head_bytes = GaugeMetricFamily("obs_store_head_bytes", "Memory of the head.", labels=["store"])
        blocks = GaugeMetricFamily("obs_store_blocks", "Blocks on disk.", labels=["store"])
        items = GaugeMetricFamily("obs_store_block_items", "Items in blocks.", labels=["store"])
        disk = GaugeMetricFamily("obs_store_disk_bytes", "Bytes on disk, WAL included.", labels=["store"])
        events = CounterMetricFamily("obs_store_events", "What the engine did.", labels=["store", "event"])
        dropped = CounterMetricFamily(
            "obs_cardinality_dropped",
            "Samples dropped since their series were new and past a limit, by metric; of bounded length.",
            labels=["store", "metric"],
        )
        for signal, store in self._stores.items():
            stats, name = store.stats(), [signal.value]
            head.add_metric(name, stats.items_head)
            head_bytes.add_metric(name, stats.bytes_head)
            blocks.add_metric(name, stats.blocks)
            items.add_metric(name, stats.items_blocks)
            disk.add_metric(name, stats.bytes_disk)
            for event, count in stats.extra.items():
                if isinstance(count, int):
                    events.add_metric([*name, event], count)
            for metric, count in stats.extra.get("dropped_by_metric", {}).items():
                dropped.add_metric([*name, metric], count)
        yield from (head, head_bytes, blocks, items, disk, events, dropped)


def registry(ledger: Ledger, stores: Mapping[Signal, Store], others: Iterable[object] = ()) -> CollectorRegistry:
    """Everything this process reports of itself."""
    found = CollectorRegistry()
    ProcessCollector(registry=found)
    PlatformCollector(registry=found)
    GCCollector(registry=found)
    for collector in (ledger, StoreCollector(stores), *others):
        found.register(collector)  # type: ignore[arg-type]
    return found


def to_batch(families: Iterable[Metric], target: Labels, t_ms: int) -> Batch:
    """The families' samples at `t_ms`, each series with the target's labels."""
    samples, metadata = [], []
    for family in families:
        metadata.append({"metric": family.name, "type": family.type, "unit": family.unit, "help": family.documentation})
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                labels = make_labels([*target, *sample.labels.items(), (METRIC_NAME, sample.name)])
                samples.append((labels, t_ms, float(sample.value)))
    return metrics_batch(samples, metadata)


class OwnMetrics:
    """Writes the registry into our own store every `interval_s`."""

    def __init__(
        self,
        found: CollectorRegistry,
        pipeline: Pipeline,
        ledger: Ledger,
        instance: str,
        interval_s: float,
        clock: Clock,
    ) -> None:
        self._registry = found
        self._pipeline = pipeline
        self._ledger = ledger
        self._target = make_labels({"job": "obs", "instance": instance})
        self._interval_s = interval_s
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="own-metrics", daemon=True)

    def start(self) -> None:
        """Write once now, then on the timer."""
        self._thread.start()

    def close(self) -> None:
        """Stop; nothing is written after this."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def write(self) -> None:
        """Write the registry as of now."""
        batch = to_batch(self._registry.collect(), self._target, self._clock.now_ns() // 1_000_000)
        stored = self._pipeline.consume(batch)
        self._ledger.record(Signal.METRICS, RECEIVER, stored.batch.items, stored.dropped)

    def _run(self) -> None:
        while True:
            try:
                self.write()
            except ObsError as e:
                log.warning("own metrics were not stored: %s", e)
            if self._stopping.wait(self._interval_s):
                return
