"""One scrape: every probe, timed, each alone in its failure."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from obs.agent.cgroup.probe import CgroupProbe
from obs.agent.host.probes import HOST_PROBES
from obs.agent.own import OwnMetrics
from obs.agent.rootfs import HostRoot
from obs.agent.sample import Sample

log = logging.getLogger(__name__)


class Scrape:
    """The host's probes, the cgroups and the agent itself, in that order."""

    def __init__(self, root: HostRoot, cgroups: CgroupProbe, own: OwnMetrics) -> None:
        self._root = root
        self._cgroups = cgroups
        self._own = own
        self._complained: set[str] = set()

    def samples(self) -> list[Sample]:
        """Everything as it is now."""
        begin = time.perf_counter()
        out: list[Sample] = []
        for name, probe in HOST_PROBES:
            out += self._guarded(name, lambda probe=probe: probe(self._root))  # type: ignore[misc]
        out += self._guarded("cgroups", self._cgroups.samples)
        self._own.set("obs_agent_cgroups_skipped", self._cgroups.skipped)
        self._own.set("obs_agent_cgroup_hierarchy_info", 1, kind=self._cgroups.kind)
        self._own.set("obs_agent_scrape_duration_seconds", time.perf_counter() - begin)
        self._own.set("obs_agent_scrape_samples", len(out))
        return out + self._own.samples()

    def _guarded(self, name: str, probe: Callable[[], list[Sample]]) -> list[Sample]:
        """A probe that fails costs its own samples only; it is told once and counted always."""
        begin = time.perf_counter()
        success = 1.0
        try:
            out = probe()
        except Exception:
            out, success = [], 0.0
            self._own.add("obs_agent_probe_failures_total", probe=name)
            if name not in self._complained:
                self._complained.add(name)
                log.exception("cannot read probe %r; its metrics are missing", name)
        self._own.set("node_scrape_collector_duration_seconds", time.perf_counter() - begin, collector=name)
        self._own.set("node_scrape_collector_success", success, collector=name)
        return out
