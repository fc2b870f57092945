"""How obs is doing, in one value: `/api/status`, `obs doctor` and the Overview page read it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from obs import warm
from obs.collector.ledger import Ledger
from obs.model.batch import Signal
from obs.model.clock import Clock
from obs.model.ports import Store, StoreStats
from obs.serving.agent_process import AgentProcess
from obs.version import __version__

FARTHEST_NS = 2**63 - 1
"""The year 2262. Metrics count milliseconds, so that samples may lie past it; JSON carries no larger number."""


class Status:
    """Reads the parts; `ready` is set once requests are answered."""

    def __init__(
        self, stores: Mapping[Signal, Store], ledger: Ledger, agent: AgentProcess, started_ns: int, clock: Clock
    ) -> None:
        self._stores = stores
        self._ledger = ledger
        self._agent = agent
        self._started_ns = started_ns
        self._clock = clock
        self.ready = False

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return {
            "version": __version__,
            "ready": self.ready,
            "pid": os.getpid(),
            "uptime_s": (self._clock.now_ns() - self._started_ns) / 1e9,
            "stores": {signal.value: _figures(store.stats()) for signal, store in self._stores.items()},
            "ledger": self._ledger.to_json(),
            "kernels": warm.progress(),
            "agent": {"pid": self._agent.pid, "restarts": self._agent.restarts},
        }

    def collect(self) -> Iterator[Metric]:
        """Build information and uptime as metric families."""
        yield InfoMetricFamily("obs_build", "This build of obs.", {"version": __version__})
        uptime_s = (self._clock.now_ns() - self._started_ns) / 1e9
        yield GaugeMetricFamily("obs_uptime_seconds", "Seconds since start.", uptime_s)
        recovering = GaugeMetricFamily("obs_store_recovered_ratio", "Share of the WAL read back.", labels=["store"])
        for signal, store in self._stores.items():
            done = store.stats().recovering
            recovering.add_metric([signal.value], 1.0 if done is None else done)
        yield recovering


def _figures(stats: StoreStats) -> dict[str, Any]:
    """What a store says of itself, with times that JSON can carry."""
    figures = asdict(stats)
    for key in ("min_ns", "max_ns"):
        if figures[key] is not None:
            figures[key] = min(max(figures[key], -FARTHEST_NS), FARTHEST_NS)
    return figures
