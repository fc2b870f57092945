"""Where each controller is mounted, and which cgroups there are.

v1 mounts one tree a controller, v2 one for all, hybrid both. A cgroup is named by its path below the mount, which is
the same in every tree; that path is cAdvisor's label `id`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from obs.agent.host.filesystem import parse_mountinfo
from obs.agent.rootfs import HostRoot, read_text

CONTROLLERS = frozenset(("cpu", "cpuacct", "memory", "blkio", "pids"))


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Mounted trees: controller → folder for v1, one folder or none for v2."""

    v1: dict[str, Path] = field(default_factory=dict)
    v2: Path | None = None

    @property
    def kind(self) -> str:
        """`v1`, `v2`, `hybrid` or `none`."""
        if self.v1:
            return "hybrid" if self.v2 else "v1"
        return "v2" if self.v2 else "none"

    @property
    def trees(self) -> tuple[Path, ...]:
        """Each folder once; `cpu` and `cpuacct` often share one."""
        return tuple(dict.fromkeys([*self.v1.values(), *([self.v2] if self.v2 else [])]))


def find_hierarchies(root: HostRoot) -> Hierarchies:
    """The cgroup mounts that init, or else we ourselves, can see."""
    text = root.read("/proc/1/mountinfo") or root.read("/proc/self/mountinfo") or ""
    v1: dict[str, Path] = {}
    v2: Path | None = None
    for mount in parse_mountinfo(text):
        if mount.fstype == "cgroup2" and v2 is None:
            v2 = root.at(mount.point)
        elif mount.fstype == "cgroup":
            # The folder is named after its controllers ("cpu,cpuacct"); symbolic links beside it repeat them.
            for controller in Path(mount.point).name.split(","):
                if controller in CONTROLLERS:
                    v1.setdefault(controller, root.at(mount.point))
    return Hierarchies(v1, v2)


def list_cgroups(hierarchies: Hierarchies, limit: int) -> tuple[list[str], int]:
    """Ids of the cgroups in any tree, sorted (parents first), and how many more than `limit` there are."""
    found: set[str] = set()
    for tree in hierarchies.trees:
        found.update(_walk(tree))
    ids = sorted(found)
    return ids[:limit], max(0, len(ids) - limit)


def _walk(tree: Path) -> Iterator[str]:
    """Ids of one tree. Folders that vanish while we look are passed over."""
    pending = ["/"]
    while pending:
        cgroup = pending.pop()
        yield cgroup
        try:
            with os.scandir(f"{tree}{cgroup}") as entries:
                pending += [
                    f"{cgroup.rstrip('/')}/{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False)
                ]
        except OSError:
            continue


@dataclass(frozen=True, slots=True)
class CgroupFiles:
    """The files of one cgroup in whichever tree holds them."""

    hierarchies: Hierarchies
    cgroup: str

    def v1(self, controller: str, name: str) -> str | None:
        """A file of a v1 controller, or None."""
        tree = self.hierarchies.v1.get(controller)
        return None if tree is None else read_text(f"{tree}{self.cgroup}/{name}")

    def v2(self, name: str) -> str | None:
        """A file of the v2 tree, or None."""
        tree = self.hierarchies.v2
        return None if tree is None else read_text(f"{tree}{self.cgroup}/{name}")

    def pids(self) -> list[int]:
        """Processes directly in this cgroup: the longest list any tree gives.

        In a hybrid tree a process sits in the v2 root unless something moved it, so no single tree tells.
        """
        best: list[int] = []
        for tree in self.hierarchies.trees:
            text = read_text(f"{tree}{self.cgroup}/cgroup.procs") or ""
            pids = [int(p) for p in text.split() if p.isdigit()]
            if len(pids) > len(best):
                best = pids
        return best

    def created_s(self) -> float | None:
        """When the kernel made the folder, as far as its times tell (the earliest over all trees)."""
        times = []
        for tree in self.hierarchies.trees:
            try:
                times.append(os.stat(f"{tree}{self.cgroup}").st_mtime)
            except OSError:
                continue
        return min(times, default=None)
