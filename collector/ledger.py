"""The ledger: per signal and receiver, received = stored + dropped. Nothing vanishes without a reason.

In: counts from the pipeline and the receivers. Out: `totals()` for tests and `collect()` for Prometheus exposition.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, Metric

from obs.model.batch import Signal


@dataclass(frozen=True, slots=True)
class Totals:
    """What came of the items of one signal and receiver."""

    received: int
    stored: int
    dropped: Mapping[str, int]  # reason → items

    @property
    def balanced(self) -> bool:
        """Whether every received item is accounted for."""
        return self.received == self.stored + sum(self.dropped.values())


class Ledger:
    """Counts items by signal and receiver; an entry is made once for a request, in one step."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received: dict[tuple[str, str], int] = defaultdict(int)
        self._stored: dict[tuple[str, str], int] = defaultdict(int)
        self._dropped: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._refused: dict[tuple[str, str, str], int] = defaultdict(int)

    def record(self, signal: Signal, receiver: str, stored: int, dropped: Mapping[str, int]) -> None:
        """Enter one answered request: `stored` items are durable, the rest were refused for good, by reason."""
        key = (signal.value, receiver)
        with self._lock:
            self._received[key] += stored + sum(dropped.values())
            self._stored[key] += stored
            for reason, count in dropped.items():
                self._dropped[key][reason] += count

    def refuse(self, signal: Signal, receiver: str, reason: str) -> None:
        """Count a request of which nothing was taken in: malformed, or to be sent again."""
        with self._lock:
            self._refused[signal.value, receiver, reason] += 1

    def totals(self, signal: Signal, receiver: str) -> Totals:
        """The figures of one signal and receiver as of now."""
        key = (signal.value, receiver)
        with self._lock:
            return Totals(self._received[key], self._stored[key], dict(self._dropped[key]))

    def to_json(self) -> list[dict[str, object]]:
        """Every entry, for the status."""
        with self._lock:
            return [
                {
                    "signal": signal,
                    "receiver": receiver,
                    "received": received,
                    "stored": self._stored[signal, receiver],
                    "dropped": dict(self._dropped.get((signal, receiver), {})),
                }
                for (signal, receiver), received in self._received.items()
            ]

    def collect(self) -> Iterator[Metric]:
        """The ledger as metric families (a prometheus_client collector)."""
        names = ["signal", "receiver"]
        received = CounterMetricFamily("obs_received", "Items received.", labels=names)
        stored = CounterMetricFamily("obs_stored", "Items made durable.", labels=names)
        dropped = CounterMetricFamily("obs_dropped", "Items refused for good, by reason.", labels=[*names, "reason"])
        refused = CounterMetricFamily(
            "obs_refused_requests",
            "Requests of which nothing was taken in, by reason.",
            labels=[*names, "reason"],
        )
        with self._lock:
            for key, count in self._received.items():
                received.add_metric(key, count)
                stored.add_metric(key, self._stored[key])
            for (signal, receiver), reasons in self._dropped.items():
                for reason, count in reasons.items():
                    dropped.add_metric((signal, receiver, reason), count)
            for labels, count in self._refused.items():
                refused.add_metric(labels, count)
        yield from (received, stored, dropped, refused)
