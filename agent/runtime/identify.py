"""The path of a cgroup → the runtime and id of the container it is. Pure.

docker `/docker/<id>`, `docker-<id>.scope` · podman `libpod-<id>[.scope]` · CRI `/kubepods/<qos>/pod<uid>/<id>`,
`cri-containerd-<id>.scope`, `crio-<id>.scope` · containerd `/<namespace>/<id>` · LXC `/lxc/<name>`.
Groups inside a container (`…/<id>/init`) are none themselves, so nothing is counted twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LEAF = re.compile(r"(?:(?P<prefix>[a-z-]+)-)?(?P<id>[0-9a-f]{64})(?:\.scope)?")
_LXC = re.compile(r"/lxc/([^/]+)|/lxc\.payload\.([^/]+)")
_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})")

PREFIXES = {
    "docker": "docker",
    "libpod": "podman",
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """A container as far as its path tells; `pod_uid` where it is Kubernetes'."""

    runtime: str
    id: str
    pod_uid: str = ""


def identify(cgroup: str) -> Identity | None:
    """The container that `cgroup` is, or None: monitors (`conmon`) and inner groups are not containers."""
    parents, _, leaf = cgroup.rpartition("/")
    found = _LEAF.fullmatch(leaf)
    if found is None:
        lxc = _LXC.fullmatch(cgroup)
        return Identity("lxc", lxc[1] or lxc[2]) if lxc else None
    prefix = found["prefix"]
    if prefix is not None:
        return Identity(PREFIXES[prefix], found["id"], _pod_uid(parents)) if prefix in PREFIXES else None
    return Identity(_runtime_of_parents(parents), found["id"], _pod_uid(parents))


def _runtime_of_parents(parents: str) -> str:
    if "kubepods" in parents:
        return "cri"
    if parents.endswith("/docker") or "/docker/" in parents + "/":
        return "docker"
    return "containerd"


def _pod_uid(parents: str) -> str:
    found = _POD.search(parents)
    return found[1].replace("_", "-") if found else ""
