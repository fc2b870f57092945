"""`/proc/meminfo` and a subset of `/proc/vmstat`."""

from __future__ import annotations

import re

from obs.agent.rootfs import HostRoot
from obs.agent.sample import Sample

VMSTAT_WANTED = re.compile(r"oom_kill|pgpg|pswp|pg.*fault")  # Source: node_exporter's default vmstat fields


def parse_meminfo(text: str) -> list[Sample]:
    """`Active(anon):  12 kB` is `node_memory_Active_anon_bytes`; lines without a unit are counts of pages."""
    out = []
    for line in text.splitlines():
        key, _, rest = line.partition(":")
        fields = rest.split()
        if not fields:
            continue
        name = "node_memory_" + key.replace("(", "_").replace(")", "")
        if fields[-1] == "kB":
            out.append(Sample(name + "_bytes", (), int(fields[0]) * 1024.0))
        else:
            out.append(Sample(name, (), float(fields[0])))
    return out


def parse_vmstat(text: str) -> list[Sample]:
    """Paging, faults and OOM kills. They rise, but node_exporter gives them no `_total`, so neither do we."""
    pairs = (line.split() for line in text.splitlines())
    return [
        Sample("node_vmstat_" + pair[0], (), float(pair[1]))
        for pair in pairs
        if len(pair) == 2 and VMSTAT_WANTED.match(pair[0])
    ]


def probe_memory(root: HostRoot) -> list[Sample]:
    """`/proc/meminfo`."""
    return parse_meminfo(root.read("/proc/meminfo") or "")


def probe_vmstat(root: HostRoot) -> list[Sample]:
    """`/proc/vmstat`."""
    return parse_vmstat(root.read("/proc/vmstat") or "")
