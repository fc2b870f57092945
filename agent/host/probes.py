"""All host probes in one tuple, named as node_exporter names its collectors."""

from __future__ import annotations

from collections.abc import Callable

from obs.agent.host.cpu import probe_cpu, probe_load
from obs.agent.host.disk import probe_disk
from obs.agent.host.filesystem import probe_filesystem
from obs.agent.host.memory import probe_memory, probe_vmstat
from obs.agent.host.network import probe_interfaces, probe_network, probe_sockets
from obs.agent.host.pressure import probe_pressure
from obs.agent.host.system import probe_filefd, probe_time, probe_uname
from obs.agent.rootfs import HostRoot
from obs.agent.sample import Sample

Probe = Callable[[HostRoot], list[Sample]]

HOST_PROBES: tuple[tuple[str, Probe], ...] = (
    ("cpu", probe_cpu),
    ("loadavg", probe_load),
    ("meminfo", probe_memory),
    ("vmstat", probe_vmstat),
    ("diskstats", probe_disk),
    ("filesystem", probe_filesystem),
    ("netdev", probe_network),
    ("netclass", probe_interfaces),
    ("sockstat", probe_sockets),
    ("pressure", probe_pressure),
    ("filefd", probe_filefd),
    ("uname", probe_uname),
    ("time", probe_time),
)
