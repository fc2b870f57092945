"""The kernel's name, its open files, its time."""

from __future__ import annotations

import os
import time

from obs.agent.rootfs import HostRoot
from obs.agent.sample import Sample


def parse_file_nr(text: str) -> list[Sample]:
    """`/proc/sys/fs/file-nr`: allocated, always 0, maximum."""
    fields = text.split()
    if len(fields) != 3:
        return []
    return [
        Sample("node_filefd_allocated", (), float(fields[0])),
        Sample("node_filefd_maximum", (), float(fields[2])),
    ]


def probe_filefd(root: HostRoot) -> list[Sample]:
    """Open files of the whole host."""
    return parse_file_nr(root.read("/proc/sys/fs/file-nr") or "")


def probe_uname(root: HostRoot) -> list[Sample]:
    """`uname` as labels of a series that is always 1; the host's own name is read from below the root."""
    name = os.uname()
    nodename = (root.read("/proc/sys/kernel/hostname") or name.nodename).strip()
    domain = (root.read("/proc/sys/kernel/domainname") or "(none)").strip()
    labels = (
        ("sysname", name.sysname),
        ("release", name.release),
        ("version", name.version),
        ("machine", name.machine),
        ("nodename", nodename),
        ("domainname", domain),
    )
    return [Sample("node_uname_info", labels, 1.0)]


def probe_time(root: HostRoot) -> list[Sample]:
    """The host's clock."""
    return [Sample("node_time_seconds", (), time.time())]
