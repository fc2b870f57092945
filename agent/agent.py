"""The agent put together: scrapes on a beat, log files between the beats, two lanes to the server."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time

from obs.agent.cgroup.probe import CgroupProbe
from obs.agent.config import AgentConfig
from obs.agent.filenames import lock_file, spool_folder
from obs.agent.lane import Lane
from obs.agent.limits import LOG_POLL_S, METRICS_SPOOL_BYTES
from obs.agent.otlp_metrics import metrics_requests
from obs.agent.own import OwnMetrics
from obs.agent.request import Request
from obs.agent.rootfs import HostRoot
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
        self.own = OwnMetrics()
        self._sender = Sender(config.to)
        root = HostRoot(config.root)
        self._scrape = Scrape(root, CgroupProbe(root, lambda cgroup, pids: None), self.own)
        spool = Spool(spool_folder(config.data_dir, "metrics"), METRICS_SPOOL_BYTES)
        self._metrics = Lane("metrics", self._sender.send, spool, self.own, drop_oldest=True)

    def run(self, stop: threading.Event) -> None:
        """Scrape every interval and read logs in between, until `stop`; then deliver or spool the rest."""
        self._metrics.start()
        next_scrape = time.monotonic()
        try:
            while not stop.is_set():
                if time.monotonic() >= next_scrape:
                    self.scrape_once()
                    next_scrape = max(next_scrape + self.config.interval_s, time.monotonic())
                stop.wait(max(0.0, min(LOG_POLL_S, next_scrape - time.monotonic())))
        finally:
            self.close()

    def scrape_once(self) -> None:
        """All metrics into the lane."""
        self._metrics.report()
        samples = self._scrape.samples()
        for body, points in metrics_requests(samples, self.config.resource, time.time_ns()):
            self._metrics.submit(Request(body, points))

    def close(self) -> None:
        """Stop sending; what could not be delivered is on disk."""
        self._metrics.stop()
        self._sender.close()
        os.close(self._lock_fd)


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
