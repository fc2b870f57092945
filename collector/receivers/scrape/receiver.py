"""The receiver: discovers targets, scrapes each at its own moment of the interval, feeds the pages to the intake.

All of it runs in one event loop in a thread of its own; what decodes and stores runs in a few worker threads.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.scrape.config import Job
from obs.collector.receivers.scrape.discovery import Discovery, discoveries, follow
from obs.collector.receivers.scrape.fetching import fetch, read_page, request_options
from obs.collector.receivers.scrape.series import NOTHING, PageRefused, TargetSeries
from obs.collector.receivers.scrape.targets import Dropped, Group, Target, targets_of
from obs.errors import ObsError
from obs.exposition.text import ExpositionError, Family
from obs.model.batch import Decoded, Signal
from obs.model.clock import Clock
from obs.otlp import SeriesCache

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("obs.scrape")
RECEIVER = "scrape"

WORKERS = 2
"""Threads that read pages: parsing holds the interpreter, storing does not."""

STOP_S = 10.0
"""How long the end of the process waits for scrapes that are under way."""


@dataclass(slots=True)
class Scraped:
    """How a target is doing. `target` may change into one of the same key: a beat later it is scraped as that says."""

    target: Target
    health: str = "unknown"
    last_error: str = ""
    last_ns: int = 0
    took_s: float = 0.0
    families: dict[str, Family] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    over_limit: str = ""  # why it is not scraped, where there are too many
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Pool:
    """One job: its sources, and its targets as they are now."""

    def __init__(self, job: Job, sources: Sequence[Discovery]) -> None:
        self.job, self.sources = job, sources
        self.given: dict[int, list[Group]] = {}
        self.active: dict[Any, Scraped] = {}
        self.dropped: list[Dropped] = []


class Scraper:
    """Runs the jobs of a configuration; `apply` changes them while it runs."""

    def __init__(self, intake: Intake, clock: Clock, folder: Path) -> None:
        self._intake, self._clock, self._folder = intake, clock, folder
        self._cache = SeriesCache()
        self._workers = ThreadPoolExecutor(WORKERS, "obs-scrape")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.pools: dict[str, Pool] = {}

    def apply(self, jobs: Sequence[Job]) -> None:
        """Scrape these jobs from now on; targets that stay go on as they were."""
        if self._thread is None:
            if not jobs:
                return
            self._start()
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._apply(list(jobs)), self._loop).result(STOP_S)

    def close(self) -> None:
        """Stop scraping; what is under way is stored. Series are not ended: they go on after a restart."""
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(self._stop(), loop).result(STOP_S)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_S)
            self._loop = self._thread = None
        self._workers.shutdown()

    def _start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="obs-scrape-loop", daemon=True)
        self._thread.start()

    async def _apply(self, jobs: list[Job]) -> None:
        fresh = {job.job_name: Pool(job, discoveries(job, self._folder)) for job in jobs}  # may be refused: first
        await self._cancel(self._tasks)
        old, self.pools = self.pools, fresh
        for name, pool in old.items():
            if name in self.pools:  # what its targets are is known again once all sources have said so
                self.pools[name].active = pool.active
                if not self.pools[name].sources:
                    await self._sync(self.pools[name])
            else:
                await self._end(pool, list(pool.active))
        self._tasks = [
            asyncio.create_task(self._discover(pool, number))
            for pool in self.pools.values()
            for number in range(len(pool.sources))
        ]

    async def _stop(self) -> None:
        await self._cancel(self._tasks)
        await self._cancel([s.task for pool in self.pools.values() for s in pool.active.values() if s.task])

    async def _cancel(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _discover(self, pool: Pool, number: int) -> None:
        """Ask one source for ever."""
        source = pool.sources[number]

        async def told(groups: list[Group]) -> None:
            if pool.given.get(number) != groups:
                pool.given[number] = groups
                await self._sync(pool)

        await follow(source, partial(log.warning, "%s discovery of job %r: %s", source.name, pool.job.job_name), told)

    async def _sync(self, pool: Pool) -> None:
        """Start and end targets so that they are what the sources say, once each has said something."""
        if len(pool.given) < len(pool.sources) and pool.active:
            return  # after a reload: do not end what a source is about to give again
        groups = [group for number in sorted(pool.given) for group in pool.given[number]]
        found, pool.dropped = targets_of(pool.job, groups)
        error = ""
        if pool.job.target_limit and len(found) > pool.job.target_limit:
            error = f"{len(found)} targets are over the target_limit of {pool.job.target_limit}"
        wanted = {target.key: target for target in found}
        await self._end(pool, [key for key in pool.active if key not in wanted])
        for key, target in wanted.items():
            scraped = pool.active.get(key)
            if scraped is None:
                scraped = pool.active[key] = Scraped(target, over_limit=error)
                scraped.task = asyncio.create_task(self._scrape_for_ever(scraped))
            elif _as_scraped(scraped.target) != _as_scraped(target):
                scraped.target = target
                scraped.changed.set()
            scraped.over_limit = error

    async def _end(self, pool: Pool, keys: Sequence[Any]) -> None:
        gone = [pool.active.pop(key) for key in keys]
        await self._cancel([scraped.task for scraped in gone if scraped.task])

    async def _scrape_for_ever(self, scraped: Scraped) -> None:
        from aiohttp import ClientSession

        series = TargetSeries(scraped.target, typed=self._intake.typed)
        loop = asyncio.get_running_loop()
        stopping = False
        try:
            async with ClientSession() as session:
                while True:
                    scraped.changed.clear()
                    await self._scrape_until_changed(scraped, series, session)
                    series = TargetSeries(scraped.target, typed=self._intake.typed, before=series)
        except asyncio.CancelledError:
            stopping = self._loop is None or not any(scraped in p.active.values() for p in self.pools.values())
            raise
        finally:
            if stopping:
                decode = series.ended(self._clock.now_ns() // 1_000_000)
                await asyncio.shield(loop.run_in_executor(self._workers, self._store, series, decode))

    async def _scrape_until_changed(
        self, scraped: Scraped, series: TargetSeries, session: aiohttp.ClientSession
    ) -> None:
        """At each of the target's moments; what is under way ends before the target is another."""
        target, now = scraped.target, self._clock.now_ns() / 1e9
        due = now + (target.offset_s - now) % target.interval_s
        while True:
            try:
                await asyncio.wait_for(scraped.changed.wait(), max(0.0, due - self._clock.now_ns() / 1e9))
                return
            except TimeoutError:
                pass
            await self._scrape(scraped, target, series, session)
            behind = max(0.0, self._clock.now_ns() / 1e9 - due)  # a scrape that took too long leaves some out
            due += target.interval_s * (1 + behind // target.interval_s)

    async def _scrape(
        self, scraped: Scraped, target: Target, series: TargetSeries, session: aiohttp.ClientSession
    ) -> None:
        """One scrape, stored whatever becomes of it."""
        at_ns, error = self._clock.now_ns(), scraped.over_limit
        loop, began = asyncio.get_running_loop(), time.perf_counter()
        body, kind = b"", ""
        try:
            if not error:
                body, kind = await fetch(session, target, request_options(target.job))
        except ObsError as e:
            error = str(e)
        took = time.perf_counter() - began
        found = await loop.run_in_executor(
            self._workers, self._take, series, (body, kind, target.job), at_ns // 1_000_000, took, error
        )
        scraped.last_error, families = found
        scraped.health = "down" if scraped.last_error else "up"
        scraped.families = families or scraped.families
        scraped.last_ns, scraped.took_s = at_ns, took

    def _take(
        self, series: TargetSeries, page: tuple[bytes, str, Job], at_ms: int, took_s: float, error: str
    ) -> tuple[str, dict[str, Family]]:
        """Read and store a page, or the failure; returns what went wrong, and the page's families."""
        families: dict[str, Family] = {}
        try:
            if error:
                decode = series.failed(at_ms, took_s)
            else:
                parsed = read_page(*page)
                decode, _ = series.page(parsed, at_ms, took_s)
                families = parsed.families
        except PageRefused as e:
            error, decode = str(e), series.failed(at_ms, took_s, e.told)
        except ExpositionError as e:
            told = NOTHING if e.page is None else series.counted(e.page)
            error, decode = str(e), series.failed(at_ms, took_s, told)
        except Exception as e:  # or the target would not be scraped again
            error, decode = str(self._intake.fault(Signal.METRICS, RECEIVER, e)), series.failed(at_ms, took_s)
        return self._store(series, decode) or error, families

    def _store(self, series: TargetSeries, decode: Callable[[SeriesCache], Decoded]) -> str:
        try:
            self._intake.take_metrics(decode, self._cache, RECEIVER)
        except ObsError as e:
            series.refused()
            return str(e)
        series.stored()
        return ""


def _as_scraped(target: Target) -> tuple[object, ...]:
    """What of a target says how it is scraped."""
    return target.job, target.interval_s, target.timeout_s
