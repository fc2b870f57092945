"""All other Alertmanagers: found, and told of what rules find, in an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from obs.alertmanager.alert import Alert
from obs.alertrelay.config import Alertmanagers, Relaying, relabeled_alert
from obs.alertrelay.destination import Destination
from obs.collector.receivers.scrape.discovery import Discovery, discoveries, follow
from obs.collector.receivers.scrape.relabel import relabeled
from obs.collector.receivers.scrape.targets import Group
from obs.model.clock import Clock

log = logging.getLogger("obs.alerts")

STOP_S = 10.0
"""How long a change or the end waits for the loop."""


@dataclass(slots=True)
class _Pool:
    """The Alertmanagers of one entry."""

    config: Alertmanagers
    sources: Sequence[Discovery]
    given: dict[int, list[Group]] = field(default_factory=dict)
    active: dict[str, tuple[Destination, asyncio.Task[None]]] = field(default_factory=dict)
    dropped: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.config.model_dump_json()


class AlertRelay:
    """`apply` says who is to be told; `tell` tells them. Any thread. Nothing runs before there is anyone to tell."""

    def __init__(self, clock: Clock, folder: Path) -> None:
        self._clock, self._folder = clock, folder
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pools: list[_Pool] = []
        self._tasks: list[asyncio.Task[None]] = []

    def apply(self, relaying: Relaying) -> None:
        """Tell these from now on; those that stay keep what waits for them."""
        if self._loop is None:
            if not relaying.alertmanagers:
                return
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="obs-alert-relay", daemon=True)
            self._thread.start()
        asyncio.run_coroutine_threadsafe(self._apply(relaying), self._loop).result(STOP_S)

    def close(self) -> None:
        """Stop; what is not sent is told anew by the rules after a start."""
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(self._apply(Relaying()), loop).result(STOP_S)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_S)
            self._loop = self._thread = None

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Hand on the alerts of a rule."""
        if self._loop is not None and alerts:
            self._loop.call_soon_threadsafe(self._offer, alerts)

    def listed(self) -> tuple[list[str], list[str]]:
        """Addresses of those that are told, and of those that relabeling drops."""
        pools = list(self._pools)
        return (
            sorted({url for pool in pools for url in list(pool.active)}),
            [_url(pool.config, labels) for pool in pools for labels in pool.dropped],
        )

    def collect(self) -> Iterator[Metric]:
        """What became of alerts, by Alertmanager."""
        sent = CounterMetricFamily("obs_alerts_sent", "Alerts that another Alertmanager took.", labels=["url"])
        errors = CounterMetricFamily("obs_alerts_errors", "Alerts in requests that failed.", labels=["url"])
        dropped = CounterMetricFamily(
            "obs_alerts_dropped", "Alerts that it refused, or that were too many.", labels=["url"]
        )
        waiting = GaugeMetricFamily("obs_alerts_waiting", "Alerts that wait for it.", labels=["url"])
        for destination, _ in [each for pool in list(self._pools) for each in list(pool.active.values())]:
            name, counts = [destination.url], destination.counts
            for metric, n in ((sent, counts.sent), (errors, counts.errors), (dropped, counts.dropped)):
                metric.add_metric(name, n)
            waiting.add_metric(name, len(destination.waiting))
        yield from (sent, errors, dropped, waiting)

    def _offer(self, alerts: Sequence[Alert]) -> None:
        for pool in self._pools:
            rules = [rule.rule() for rule in pool.config.alert_relabel_configs]
            kept = ((alert, relabeled_alert(alert.labels, rules)) for alert in alerts) if rules else ()
            told = [replace(alert, labels=labels) for alert, labels in kept if labels] if rules else alerts
            for destination, _ in pool.active.values():
                destination.offer(told)

    async def _apply(self, relaying: Relaying) -> None:
        old = {pool.key: pool for pool in self._pools}
        fresh = [_Pool(config, discoveries(config, self._folder)) for config in relaying.alertmanagers]
        await _end(self._tasks)
        self._pools = [old.pop(pool.key, pool) for pool in fresh]
        for pool in old.values():
            await _end([task for _, task in pool.active.values()])
        self._tasks = [
            asyncio.create_task(self._discover(pool, number))
            for pool in self._pools
            for number in range(len(pool.sources))
        ]

    async def _discover(self, pool: _Pool, number: int) -> None:
        """Ask one source for ever."""
        source = pool.sources[number]

        async def told(groups: list[Group]) -> None:
            if pool.given.get(number) != groups:
                pool.given[number] = groups
                await self._sync(pool)

        await follow(source, partial(log.warning, "%s discovery of Alertmanagers: %s", source.name), told)

    async def _sync(self, pool: _Pool) -> None:
        wanted, pool.dropped = found_in(pool.config, [g for n in sorted(pool.given) for g in pool.given[n]])
        gone = [pool.active.pop(url)[1] for url in list(pool.active) if url not in wanted]
        for url in wanted:
            if url not in pool.active:
                destination = Destination(url, pool.config, self._clock)
                pool.active[url] = destination, asyncio.create_task(_send(destination))
        await _end(gone)  # last: a reload may end this at its first wait, and the new ones are there


async def _send(destination: Destination) -> None:
    from aiohttp import ClientSession

    async with ClientSession() as session:
        await destination.send_for_ever(session)


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def found_in(config: Alertmanagers, groups: Iterable[Group]) -> tuple[list[str], list[Mapping[str, str]]]:
    """Addresses of the Alertmanagers that a discovery gives, each once, and the labels of those that are dropped."""
    rules = [rule.rule() for rule in config.relabel_configs]
    wanted: dict[str, None] = {}
    dropped: list[Mapping[str, str]] = []
    for given in (labels for group in groups for labels in group):
        discovered = {"__scheme__": config.scheme, "__alerts_path__": config.path, **given}
        labels = relabeled(discovered.items(), rules)
        if labels is None or not labels.get("__address__"):
            dropped.append(discovered)
        else:
            wanted[_url(config, labels)] = None
    return list(wanted), dropped


def _url(config: Alertmanagers, labels: Mapping[str, str]) -> str:
    path = labels.get("__alerts_path__", config.path)
    scheme, address = labels.get("__scheme__", config.scheme), labels.get("__address__", "")
    return f"{scheme}://{address}{path if path.startswith('/') else '/' + path}"
