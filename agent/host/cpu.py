"""`/proc/stat` and `/proc/loadavg`: CPU time by mode, run queue, interrupts, forks, boot time."""

from __future__ import annotations

from obs.agent.rootfs import HostRoot
from obs.agent.sample import Sample

MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
GUEST_MODES = ("user", "nice")  # columns 9 and 10: also counted in user and nice
USER_HZ = 100.0  # Source: proc(5); the kernel's ABI fixes it at 100 on every architecture Debian ships

SCALARS = {
    "ctxt": "node_context_switches_total",
    "processes": "node_forks_total",
    "intr": "node_intr_total",
    "btime": "node_boot_time_seconds",
    "procs_running": "node_procs_running",
    "procs_blocked": "node_procs_blocked",
}


def parse_stat(text: str) -> list[Sample]:
    """All of `/proc/stat`. The line `cpu` without a number is the sum of the others, so it is left out."""
    out: list[Sample] = []
    for line in text.splitlines():
        fields = line.split(None, 11)
        if not fields:
            continue
        key = fields[0]
        if key in SCALARS:
            out.append(Sample(SCALARS[key], (), float(fields[1])))
        elif key.startswith("cpu") and key != "cpu":
            out += _cpu_line(key[3:], fields[1:11])
    return out


def _cpu_line(cpu: str, fields: list[str]) -> list[Sample]:
    seconds = [int(f) / USER_HZ for f in fields]
    out = [
        Sample("node_cpu_seconds_total", (("cpu", cpu), ("mode", mode)), value)
        for mode, value in zip(MODES, seconds, strict=False)
    ]
    out += [
        Sample("node_cpu_guest_seconds_total", (("cpu", cpu), ("mode", mode)), value)
        for mode, value in zip(GUEST_MODES, seconds[8:], strict=False)
    ]
    return out


def parse_loadavg(text: str) -> list[Sample]:
    """The three load averages."""
    return [
        Sample(name, (), float(value))
        for name, value in zip(("node_load1", "node_load5", "node_load15"), text.split(), strict=False)
    ]


def probe_cpu(root: HostRoot) -> list[Sample]:
    """`/proc/stat`."""
    return parse_stat(root.read("/proc/stat") or "")


def probe_load(root: HostRoot) -> list[Sample]:
    """`/proc/loadavg`."""
    return parse_loadavg(root.read("/proc/loadavg") or "")
