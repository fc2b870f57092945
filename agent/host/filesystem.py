"""Mounted file systems: sizes and inodes, one series a device however often it is bind-mounted.

Network file systems are left out, and FUSE: a dead server or daemon would hang `statvfs`, and with it the agent.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from obs.agent.rootfs import HostRoot
from obs.agent.sample import Sample

# Source: node_exporter's default fs-types-exclude, then the network file systems.
IGNORED_TYPES = re.compile(
    r"autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs"
    r"|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs"
    r"|nfs4?|cifs|smb3|smbfs|9p|ceph|afs|glusterfs|lustre|beegfs|gpfs|fuse(\..+)?"
)
OVERLAYS = ("overlay", "fuse.fuse-overlayfs")
IGNORED_MOUNTS = re.compile(
    r"/(dev|proc|sys|run/credentials/.+|run/user/.+|var/lib/docker/.+|var/lib/containers/storage/.+"
    r"|run/containerd/.+|var/lib/kubelet/.+)($|/)"
)


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo; `dev` is major:minor, `source` the device as mounted."""

    dev: str
    point: str
    fstype: str
    source: str
    read_only: bool


def parse_mountinfo(text: str) -> list[Mount]:
    """Source: proc(5), /proc/[pid]/mountinfo; optional fields end at a lone hyphen."""
    out = []
    for line in text.splitlines():
        left, separator, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if not separator or len(fields) < 6 or len(tail) < 2:
            continue
        options = fields[5].split(",") + (tail[2].split(",") if len(tail) > 2 else [])
        out.append(Mount(fields[2], _unescape(fields[4]), tail[0], _unescape(tail[1]), "ro" in options))
    return out


def _unescape(text: str) -> str:
    """Space, tab, newline and backslash are written as octal."""
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text)


def wanted_mounts(mounts: list[Mount]) -> list[Mount]:
    """Real file systems, the shortest mount point of each device; an overlay only where it is the root."""
    best: dict[str, Mount] = {}
    for mount in mounts:
        if not _is_wanted(mount):
            continue
        known = best.get(mount.dev)
        if known is None or (len(mount.point), mount.point) < (len(known.point), known.point):
            best[mount.dev] = mount
    return list(best.values())


def _is_wanted(mount: Mount) -> bool:
    if mount.fstype in OVERLAYS:
        return mount.point == "/"
    return not IGNORED_TYPES.fullmatch(mount.fstype) and not IGNORED_MOUNTS.match(mount.point)


def filesystem_samples(mount: Mount, stat: os.statvfs_result | None) -> list[Sample]:
    """The samples of one mount; without `stat` only that it could not be asked."""
    labels = (("device", mount.source), ("mountpoint", mount.point), ("fstype", mount.fstype))
    if stat is None:
        return [Sample("node_filesystem_device_error", labels, 1.0)]
    values = (
        ("size_bytes", stat.f_blocks * stat.f_frsize),
        ("free_bytes", stat.f_bfree * stat.f_frsize),
        ("avail_bytes", stat.f_bavail * stat.f_frsize),
        ("files", stat.f_files),
        ("files_free", stat.f_ffree),
        ("readonly", int(mount.read_only)),
        ("device_error", 0),
    )
    return [Sample("node_filesystem_" + name, labels, float(value)) for name, value in values]


def probe_filesystem(root: HostRoot) -> list[Sample]:
    """The mounts that init sees (our own where we may not look), each asked with `statvfs`."""
    text = root.read("/proc/1/mountinfo") or root.read("/proc/self/mountinfo") or ""
    out = []
    for mount in wanted_mounts(parse_mountinfo(text)):
        try:
            stat = os.statvfs(root.at(mount.point))
        except OSError:
            stat = None
        out += filesystem_samples(mount, stat)
    return out
