"""Where names of containers are written down: runtimes' own files, the monitor's command line, names of log files.

Each function reads local files only and gives None or nothing where there is none; formats belong to the runtimes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from obs.agent.rootfs import HostRoot
from obs.agent.runtime.container import Container

_CONTAINER_LINK = re.compile(r"(?P<pod>[^_]+)_(?P<namespace>[^_]+)_(?P<container>.+)-(?P<id>[0-9a-f]{64})\.log")
_POD_LOG = re.compile(r"/pods/(?P<namespace>[^_/]+)_(?P<pod>[^_/]+)_(?P<uid>[^/]+)/(?P<container>[^/]+)/[^/]+$")
_ID_IN_PATH = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def id_in_path(path: str) -> str:
    """The container id that a log file's path holds, or nothing."""
    found = _ID_IN_PATH.search(path)
    return found[0] if found else ""


def pod_labels(log_path: str) -> dict[str, str]:
    """Kubernetes' names in `/var/log/pods/<namespace>_<pod>_<uid>/<container>/0.log`."""
    found = _POD_LOG.search(log_path)
    return {} if found is None else _kubernetes(found)


def _kubernetes(found: re.Match[str]) -> dict[str, str]:
    return {
        "io.kubernetes.pod.namespace": found["namespace"],
        "io.kubernetes.pod.name": found["pod"],
        "io.kubernetes.container.name": found["container"],
    }


def from_docker_files(root: HostRoot, container_id: str) -> Container | None:
    """Docker's own record of a container (readable by root only)."""
    text = root.read(f"/var/lib/docker/containers/{container_id}/config.v2.json")
    return None if text is None else parse_docker_config(text)


def parse_docker_config(text: str) -> Container | None:
    """`config.v2.json`."""
    try:
        value = json.loads(text)
        config = value.get("Config") or {}
        return Container(
            id=value["ID"],
            runtime="docker",
            name=value.get("Name", "").removeprefix("/"),
            image=config.get("Image", ""),
            labels=dict(config.get("Labels") or {}),
            started_s=iso_seconds((value.get("State") or {}).get("StartedAt", "")),
            log_path=value.get("LogPath", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def iso_seconds(text: str) -> float:
    """A runtime's ISO time as seconds since 1970; 0 for none (Go writes year 1)."""
    try:
        # Nine digits of fraction are more than fromisoformat takes.
        when = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip()))
        return when.timestamp() if when.year > 1970 else 0.0
    except (ValueError, OverflowError):
        return 0.0


def from_podman_files(root: HostRoot, storage: str) -> list[Container]:
    """All containers of one Podman storage root: name and image (labels stay in its database)."""
    out: list[Container] = []
    folder = root.at(storage)
    try:
        drivers = [name for name in os.listdir(folder) if name.endswith("-containers")]
    except OSError:
        return out
    for driver in drivers:
        text = root.read(f"{storage}/{driver}/containers.json") or ""
        out += parse_podman_containers(text, f"{storage}/{driver}")
    return out


def parse_podman_containers(text: str, folder: str) -> list[Container]:
    """containers/storage's `containers.json`; its `metadata` is JSON in a string."""
    try:
        values: Iterable[dict[str, Any]] = json.loads(text or "[]")
        return [
            Container(
                id=value["id"],
                runtime="podman",
                name=(value.get("names") or [""])[0],
                image=json.loads(value.get("metadata") or "{}").get("image-name", ""),
                log_path=f"{folder}/{value['id']}/userdata/ctr.log",
            )
            for value in values
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def from_monitor(root: HostRoot, container_id: str, pids: Iterable[int]) -> Container | None:
    """What conmon, the parent of a Podman or CRI-O container's first process, was told: works for any storage root."""
    for pid in list(pids)[:4]:
        status = root.read(f"/proc/{pid}/status") or ""
        parent = re.search(r"^PPid:\s+(\d+)$", status, re.MULTILINE)
        if parent is None:
            continue
        argv = (root.read(f"/proc/{parent[1]}/cmdline") or "").split("\0")
        if argv and os.path.basename(argv[0]) == "conmon":
            return parse_monitor(argv, container_id)
    return None


def parse_monitor(argv: list[str], container_id: str) -> Container | None:
    """conmon's arguments: -c id, -n name, -l driver:path, -b bundle."""
    pairs = list(pairwise(argv))
    options = dict(reversed(pairs))  # the first of equal flags: later ones belong to the exit command
    if options.get("-c") != container_id:
        return None
    logs = [value for flag, value in pairs if flag in ("-l", "--log-path")]
    paths = [log.partition(":")[2] or log for log in logs if not log.startswith(("journald", "none", "passthrough"))]
    return Container(container_id, "podman", name=options.get("-n", ""), log_path=next(iter(paths), ""))


def from_log_links(root: HostRoot) -> list[Container]:
    """Kubernetes' containers, from the links `<pod>_<namespace>_<container>-<id>.log` in `/var/log/containers`."""
    folder = root.at("/var/log/containers")
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    matches = [m for m in map(_CONTAINER_LINK.fullmatch, names) if m is not None]
    return [
        Container(m["id"], "cri", m["container"], labels=_kubernetes(m), log_path=_target(folder / m[0]))
        for m in matches
    ]


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return str(link)
