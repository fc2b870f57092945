"""Pressure stall information (PSI) of the host, and the parser that cgroups share."""

from __future__ import annotations

from obs.agent.rootfs import HostRoot
from obs.agent.sample import Sample

NAMES = {"some": "waiting", "full": "stalled"}


def parse_pressure(text: str) -> dict[str, float]:
    """`some avg10=… total=4758956` → {"waiting": 4.758956}: seconds in which some, or all ("stalled"), tasks waited.

    Source: Documentation/accounting/psi.rst; totals are microseconds.
    """
    out = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        total = rest.rpartition("total=")[2]
        if kind in NAMES and total.isdigit():
            out[NAMES[kind]] = int(total) / 1e6
    return out


def probe_pressure(root: HostRoot) -> list[Sample]:
    """`/proc/pressure/*`; of the CPU the whole host is never stalled, so there is no such series."""
    out = []
    for resource in ("cpu", "io", "memory", "irq"):
        for state, seconds in parse_pressure(root.read(f"/proc/pressure/{resource}") or "").items():
            if (resource, state) != ("cpu", "stalled"):
                out.append(Sample(f"node_pressure_{resource}_{state}_seconds_total", (), seconds))
    return out
