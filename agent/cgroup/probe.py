"""One pass over every cgroup: values, processes, network, labels.

Names and labels come from a `Lookup` that answers at once from what it knows: asking a runtime never delays a pass.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from obs.agent.cgroup.hierarchy import CgroupFiles, Hierarchies, find_hierarchies, list_cgroups
from obs.agent.cgroup.oom import OomWatch
from obs.agent.cgroup.values import Values, read_values
from obs.agent.host.disk import device_names
from obs.agent.host.network import RECEIVE, TRANSMIT, parse_net_dev
from obs.agent.limits import CGROUPS_MAX
from obs.agent.rootfs import HostRoot
from obs.agent.runtime.container import Container, container_labels
from obs.agent.runtime.identify import identify
from obs.agent.sample import LabelPairs, Sample

Lookup = Callable[[str, list[int]], Container | None]
"""(cgroup id, its processes) → the container it is, if it is one."""

Settle = Callable[[list[str]], None]
"""Told which containers there are now; may take a moment to learn of new ones."""

# cAdvisor's network columns, by those of /proc/net/dev.
NETWORK = {
    "bytes": "bytes",
    "packets": "packets",
    "errs": "errors",
    "drop": "packets_dropped",
}
IGNORED_INTERFACES = ("lo", "veth", "docker")  # Source: cAdvisor's isIgnoredDevice


@dataclass(slots=True)
class CgroupProbe:
    """Keeps what must not change between passes: when each cgroup was first seen to start."""

    root: HostRoot
    lookup: Lookup
    settle: Settle = lambda ids: None
    oom: OomWatch | None = None
    limit: int = CGROUPS_MAX
    skipped: int = 0
    kind: str = "none"
    _started: dict[str, float] = field(default_factory=dict)

    def samples(self) -> list[Sample]:
        """All cgroups now."""
        hierarchies = find_hierarchies(self.root)
        self.kind = hierarchies.kind
        ids, self.skipped = list_cgroups(hierarchies, self.limit)
        devices = device_names(self.root.read("/proc/diskstats") or "")
        self.settle([found.id for found in map(identify, ids) if found is not None])
        alive = set(ids)
        self._started = {cgroup: t for cgroup, t in self._started.items() if cgroup in alive}
        out: list[Sample] = []
        for cgroup in ids:
            out += self._one(hierarchies, cgroup, devices)
        return out + self._killed(alive)

    def _killed(self, alive: set[str]) -> list[Sample]:
        """OOM kills of cgroups that are gone; a living one has its own counter."""
        return [
            Sample("container_oom_events_total", (("id", cgroup), *container_labels(self.lookup(cgroup, []))), count)
            for cgroup, count in (self.oom.counts() if self.oom else {}).items()
            if cgroup not in alive
        ]

    def _one(self, hierarchies: Hierarchies, cgroup: str, devices: dict[str, str]) -> list[Sample]:
        files = CgroupFiles(hierarchies, cgroup)
        values = read_values(files, devices)
        if not values:
            return []
        pids = files.pids()
        container = self.lookup(cgroup, pids)
        values["container_processes", ()] = float(len(pids))
        values["container_last_seen", ()] = float(int(time.time()))
        values["container_start_time_seconds", ()] = self._start(files, container)
        if container is not None and pids:
            values.update(self._network(pids[0]))
        labels = (("id", cgroup), *container_labels(container))
        return [Sample(name, labels + own, value) for (name, own), value in values.items()]

    def _start(self, files: CgroupFiles, container: Container | None) -> float:
        """The runtime's word where there is one, else the folder's first time (folder times may move later)."""
        if container is not None and container.started_s:
            return container.started_s
        return self._started.setdefault(files.cgroup, files.created_s() or time.time())

    def _network(self, pid: int) -> Values:
        """Counters of the container's own network namespace; none where it uses the host's."""
        try:
            own = os.readlink(self.root.at(f"/proc/{pid}/ns/net"))
            host = os.readlink(self.root.at("/proc/1/ns/net"))
        except OSError:
            return {}
        if own == host:
            return {}
        return network_values(self.root.read(f"/proc/{pid}/net/dev") or "")


def network_values(text: str) -> Values:
    """`/proc/PID/net/dev` as `container_network_*` by interface."""
    out: Values = {}
    for interface, received, sent in parse_net_dev(text):
        if interface.startswith(IGNORED_INTERFACES):
            continue
        labels: LabelPairs = (("interface", interface),)
        for direction, columns, row in (("receive", RECEIVE, received), ("transmit", TRANSMIT, sent)):
            for column, value in zip(columns, row, strict=True):
                if column in NETWORK:
                    out[f"container_network_{direction}_{NETWORK[column]}_total", labels] = float(value)
    return out
