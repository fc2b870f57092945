"""The agent put together: scrapes on a beat, log files between the beats, two lanes to the server."""

from __future__ import annotations

import fcntl
import glob
import logging
import os
import re
import threading
import time
from dataclasses import replace

from obs.agent.cgroup.oom import OomWatch
from obs.agent.cgroup.probe import CgroupProbe
from obs.agent.config import CONTAINER_LOG_GLOBS, AgentConfig
from obs.agent.filenames import checkpoints_file, lock_file, spool_folder
from obs.agent.lane import Lane
from obs.agent.limits import (
    CHECKPOINT_EVERY_S,
    LOG_POLL_S,
    LOGS_SPOOL_BYTES,
    METRICS_SPOOL_BYTES,
    RUNTIME_SETTLE_S,
)
from obs.agent.log_shipper import LogShipper
from obs.agent.logs.checkpoints import Checkpoints
from obs.agent.logs.follower import Follower
from obs.agent.otlp_logs import container_resource
from obs.agent.otlp_metrics import metrics_requests
from obs.agent.own import OwnMetrics
from obs.agent.request import Request
from obs.agent.rootfs import HostRoot
from obs.agent.runtime import sources
from obs.agent.runtime.catalog import Catalog
from obs.agent.runtime.container import Container
from obs.agent.scrape import Scrape
from obs.agent.sender import Sender
from obs.agent.spool import Spool
from obs.errors import UserError

log = logging.getLogger(__name__)


class Agent:
    """Owns the data folder, the channel and the threads; `run` works until `stop` is set."""

    def __init__(self, config: AgentConfig) -> None:
        self.config = config
        self._lock_fd = _lock(config)
        self.own = _own_metrics()
        self._sender = Sender(config.to)
        root = HostRoot(config.root)
        self._catalog = Catalog(root, self.own, sockets=config.sockets, podman_roots=config.podman_roots)
        self._oom = OomWatch(root)
        cgroups = CgroupProbe(
            root, self._catalog.lookup, lambda ids: self._catalog.settle(ids, RUNTIME_SETTLE_S), self._oom
        )
        self._scrape = Scrape(root, cgroups, self.own)
        spool = Spool(spool_folder(config.data_dir, "metrics"), METRICS_SPOOL_BYTES)
        self._metrics = Lane("metrics", self._sender.send, spool, self.own, drop_oldest=True)
        spool = Spool(spool_folder(config.data_dir, "logs"), LOGS_SPOOL_BYTES)
        self._checkpoints = Checkpoints(checkpoints_file(config.data_dir))
        self._logs = Lane(
            "logs",
            self._sender.send,
            spool,
            self.own,
            drop_oldest=False,
            done=lambda request: self._checkpoints.acknowledge(request.marks),
        )
        # What waits in the spool has been read already, though not acknowledged.
        marks = self._checkpoints.marks() | {m.key: m for r in spool.requests() for m in r.marks}
        follower = Follower(
            self._globs,
            marks,
            self.own,
            root=config.root,
            first_line=_first_line(config),
            retire=self._checkpoints.retire,
        )
        self._shipper = LogShipper(follower, self._logs, self._resource_of)
        self._next_save = 0.0

    def run(self, stop: threading.Event) -> None:
        """Scrape every interval and read logs in between, until `stop`; then deliver or spool the rest."""
        for part in (self._metrics, self._logs, self._catalog):
            part.start()
        self._oom.open()
        next_scrape = time.monotonic()
        try:
            while not stop.is_set():
                if time.monotonic() >= next_scrape:
                    self.scrape_once()
                    next_scrape = max(next_scrape + self.config.interval_s, time.monotonic())
                has_more = self.read_logs_once()
                pause_s = min(LOG_POLL_S, next_scrape - time.monotonic())
                stop.wait(0.0 if has_more else max(0.0, pause_s))
        finally:
            self.close()

    def scrape_once(self) -> None:
        """All metrics into the lane."""
        self._metrics.report()
        self._logs.report()
        samples = self._scrape.samples()
        for body, points in metrics_requests(samples, self.config.resource, time.time_ns()):
            self._metrics.submit(Request(body, points))

    def read_logs_once(self) -> bool:
        """New log records into their lane; whether there is more to read at once."""
        try:
            has_more = self._shipper.poll()
        except Exception:
            # One odd file must not end the agent; what was read and not sent is read again after a restart.
            self.own.add("obs_agent_log_poll_failures_total")
            log.exception("cannot read log files; trying again")
            has_more = False
        if time.monotonic() >= self._next_save:
            self._next_save = time.monotonic() + CHECKPOINT_EVERY_S
            self._checkpoints.save()
        return has_more

    def close(self) -> None:
        """Stop sending; what could not be delivered is on disk."""
        self._catalog.stop()
        for lane in (self._metrics, self._logs):
            lane.stop()
        self._sender.close()
        for lane in (self._metrics, self._logs):
            lane.stop(0.0)
        self._shipper.close()
        self._oom.close()
        self._checkpoints.save()
        os.close(self._lock_fd)

    def _globs(self) -> list[str]:
        globs = list(self.config.log_globs)
        if self.config.container_logs:
            globs += [*CONTAINER_LOG_GLOBS, *map(glob.escape, self._catalog.log_paths())]
        return globs

    def _resource_of(self, path: str) -> dict[str, str]:
        """The container's resource for its log file, else the host's."""
        container_id = sources.id_in_path(path)
        labels = sources.pod_labels(path)
        if not container_id and not labels:
            return self.config.resource
        container = self._catalog.by_id(container_id) if container_id else self._catalog.by_log_path(path)
        container = container or Container(container_id, "cri" if labels else "unknown")
        if labels:
            container = replace(container, labels={**container.labels, **labels})
        return self.config.resource | container_resource(container)


def _own_metrics() -> OwnMetrics:
    """With the losses at 0: a counter that first appears as 1 has no rate."""
    own = OwnMetrics()
    for reason in ("truncated", "vanished"):
        own.add("obs_agent_log_gaps_total", 0, reason=reason)
    for signal in ("metrics", "logs"):
        own.add("obs_agent_sent_items_total", 0, signal=signal)
        for reason in ("rejected", "spool_full"):
            own.add("obs_agent_dropped_items_total", 0, signal=signal, reason=reason)
    return own


def _first_line(config: AgentConfig) -> re.Pattern[str] | None:
    """Raises: UserError where the regex does not compile."""
    try:
        return re.compile(config.first_line) if config.first_line else None
    except re.error as e:
        raise UserError(f"cannot use first-line regex {config.first_line!r}: {e}; correct it") from None


def _lock(config: AgentConfig) -> int:
    """The data folder for us alone. Raises: UserError."""
    path = lock_file(config.data_dir)
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as e:
        raise UserError(
            f"cannot use data folder {str(config.data_dir)!r}: {e.strerror}; give one that can be written with --data"
        ) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise UserError(
            f"cannot use data folder {str(config.data_dir)!r}: another agent runs on it; stop it or give another --data"
        ) from None
    return fd
