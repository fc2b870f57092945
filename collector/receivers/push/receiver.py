"""Pushed groups become samples: when they are pushed, and again at every interval until they are deleted."""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager
from pathlib import Path

from obs.collector import limits
from obs.collector.pipeline import Room
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.push.groups import Group, GroupFile
from obs.collector.receivers.scrape.config import parse as jobs
from obs.collector.receivers.scrape.series import TargetSeries
from obs.collector.receivers.scrape.targets import Target
from obs.errors import ObsError, StorageFull, UserError
from obs.exposition import Page
from obs.model.clock import Clock
from obs.model.labels import Labels
from obs.otlp import SeriesCache

log = logging.getLogger("obs.push")
RECEIVER = "push"

INTERVAL_S = 30.0
"""How often what was pushed is written again: well within the time after which a sample is too old to be shown."""


class Push:
    """All groups. Every method from any thread."""

    def __init__(self, intake: Intake, clock: Clock, folder: Path) -> None:
        self._intake, self._clock = intake, clock
        self._file = GroupFile(folder / "groups.json")
        self._cache = SeriesCache()
        self._lock = threading.Lock()
        self._groups: dict[Labels, Group] = {}
        self._series: dict[Labels, TargetSeries] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read the groups and write them from now on."""
        try:
            self._groups = self._file.read()
        except (OSError, ValueError, KeyError, TypeError) as e:
            log.error("cannot read pushed groups: %s; going on without them", e)
        self._thread = threading.Thread(target=self._repeat, name="obs-push", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop writing."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def room(self) -> AbstractContextManager[Room]:
        """Room for a body that arrives piece by piece."""
        return self._intake.room()

    def take(self, labels: Labels, page: Page, replace: bool) -> None:
        """Keep and store what was pushed. Raises: ExpositionError, UserError, what the intake raises."""
        if any(row.t_ms is not None for row in page.rows):
            raise UserError("cannot take pushed metrics: they must not have timestamps; push values alone")
        with self._lock:
            known = self._groups.get(labels)
            if known is None and len(self._groups) >= limits.MAX_PUSHED_GROUPS:
                raise UserError(
                    f"cannot take a group more than {limits.MAX_PUSHED_GROUPS}: delete those whose jobs are done, and "
                    "leave ids of single runs out of the path"
                )
            group = Group(labels) if known is None else known
            try:
                group.take(page, replace, self._now_s())
            except ObsError:
                group.failed_s = self._now_s()
                raise
            self._groups[labels] = group
            self._keep()
            self._write(group)

    def delete(self, labels: Labels) -> None:
        """End a group; one that is not there is ended already. Raises: what the intake raises."""
        with self._lock:
            if self._groups.pop(labels, None) is None:
                return
            self._keep()
            series = self._series.pop(labels, None)
            if series is not None:
                self._intake.take_metrics(series.ended(self._now_ms()), self._cache, RECEIVER)

    def _keep(self) -> None:
        try:
            self._file.write(self._groups)
        except OSError as e:
            raise StorageFull(f"cannot keep pushed groups: {e.strerror}; free space in the data folder") from None

    def _repeat(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                for group in self._groups.values():
                    try:
                        self._write(group)
                    except ObsError as e:
                        log.warning("cannot store pushed group %s: %s", dict(group.labels), e)
            self._closing.wait(INTERVAL_S)

    def _write(self, group: Group) -> None:
        series = self._series.get(group.labels)
        if series is None:
            series = self._series[group.labels] = TargetSeries(_TARGET, (), self._intake.typed)
        decode, _ = series.page(group.page(), self._now_ms(), 0.0)
        try:
            self._intake.take_metrics(decode, self._cache, RECEIVER)
        except ObsError:
            series.refused()
            raise
        series.stored()
        group.examples = {}

    def _now_ms(self) -> int:
        return self._clock.now_ns() // 1_000_000

    def _now_s(self) -> float:
        return self._clock.now_ns() / 1e9


_JOB = jobs([{"job_name": RECEIVER, "honor_labels": True}])[0]
_TARGET = Target(_JOB, "", (), (), INTERVAL_S, INTERVAL_S)
