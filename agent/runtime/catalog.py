"""What is known of each container: local files at once, the runtimes' APIs from a thread of their own.

`lookup` never waits. `settle` waits a moment, bounded, so that a new container's first series already has its name.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from obs.agent.limits import RUNTIME_MIN_GAP_S, RUNTIME_REFRESH_S
from obs.agent.own import OwnMetrics
from obs.agent.rootfs import HostRoot
from obs.agent.runtime import sources
from obs.agent.runtime.api import list_containers
from obs.agent.runtime.container import Container
from obs.agent.runtime.identify import identify

log = logging.getLogger(__name__)


class Catalog:
    """Containers by id. `start` begins to ask; without it only local files speak."""

    def __init__(
        self, root: HostRoot, own: OwnMetrics, *, sockets: Sequence[str] = (), podman_roots: Sequence[str] = ()
    ) -> None:
        self._root = root
        self._own = own
        self._sockets = sockets
        self._podman_roots = podman_roots
        self._known: dict[str, Container] = {}
        self._asked: dict[str, float] = {}  # id → when a round began that must have told of it
        self._round_at = 0.0
        self._changed = threading.Condition()
        self._wanted = False
        self._stopping = False
        self._complained: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="obs-agent-runtimes", daemon=True)

    def start(self) -> None:
        """Ask the runtimes from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it is not waited for when a runtime hangs."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def lookup(self, cgroup: str, pids: Sequence[int]) -> Container | None:
        """The container that `cgroup` is, with all that is known by now; None if it is none."""
        found = identify(cgroup)
        if found is None:
            return None
        known = self._known.get(found.id)
        if known is None:
            known = self._local(Container(found.id, found.runtime), pids)
            self._learn(known)
        elif not known.log_path and pids:
            self._learn(self._local(known, pids))
        return self._known[found.id]

    def by_id(self, container_id: str) -> Container | None:
        """A container that is known already, or that local files tell of."""
        known = self._known.get(container_id)
        if known is None:
            docker = sources.from_docker_files(self._root, container_id)
            if docker is not None:
                self._learn(docker)
        return self._known.get(container_id)

    def by_log_path(self, path: str) -> Container | None:
        """The container whose log file `path` is, if that is known."""
        return next((c for c in list(self._known.values()) if c.log_path == path), None)

    def settle(self, ids: Sequence[str], timeout_s: float) -> None:
        """Wait until a round of questions has begun and ended since each id was first seen, or the timeout."""
        now = time.monotonic()
        with self._changed:
            new = [i for i in ids if i not in self._asked]
            self._asked = {i: self._asked.get(i, now) for i in ids}
            if not new or not self._thread.is_alive():
                return
            self._wanted = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._round_at >= now, timeout_s)

    def log_paths(self) -> list[str]:
        """Log files of running containers, wherever their runtime keeps them."""
        return [c.log_path for c in list(self._known.values()) if c.log_path and c.id in self._asked]

    def _local(self, container: Container, pids: Sequence[int]) -> Container:
        """`container` with what local files say of it."""
        for told in (
            sources.from_docker_files(self._root, container.id) if container.runtime == "docker" else None,
            sources.from_monitor(self._root, container.id, pids),
        ):
            if told is not None:
                container = merge(container, told)
        return container

    def _learn(self, container: Container) -> None:
        with self._changed:
            known = self._known.get(container.id)
            self._known[container.id] = container if known is None else merge(known, container)

    def _run(self) -> None:
        while not self._stopping:
            begin = time.monotonic()
            self._wanted = False
            self._ask_all()
            with self._changed:
                self._round_at = begin
                self._forget()
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stopping, RUNTIME_MIN_GAP_S)
                self._changed.wait_for(lambda: self._stopping or self._wanted, RUNTIME_REFRESH_S)

    def _forget(self) -> None:
        """Drop containers that are no cgroup any more; only once cgroups have been looked at."""
        if self._asked and len(self._known) > 2 * len(self._asked) + 100:
            self._known = {i: c for i, c in self._known.items() if i in self._asked}

    def _ask_all(self) -> None:
        for socket in self._sockets:
            try:
                for container in list_containers(self._root, socket):
                    self._learn(container)
            except Exception as e:  # a runtime may fail in any way; the agent goes on without its names
                self._own.add("obs_agent_runtime_failures_total", socket=socket)
                if socket not in self._complained:
                    self._complained.add(socket)
                    log.warning("cannot ask the container runtime at %r: %s; going on without it", socket, e)
        for storage in self._podman_roots:
            for container in sources.from_podman_files(self._root, storage):
                self._learn(container)
        for container in sources.from_log_links(self._root):
            self._learn(container)


def merge(known: Container, told: Container) -> Container:
    """Both: what is told wins where it says something; the runtime stays unless it was a guess."""
    return replace(
        known,
        runtime=told.runtime if known.runtime in ("cri", "containerd") else known.runtime,
        name=told.name or known.name,
        image=told.image or known.image,
        labels={**known.labels, **told.labels},
        started_s=told.started_s or known.started_s,
        log_path=told.log_path or known.log_path,
    )
