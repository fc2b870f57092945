"""Docker's API on a Unix socket, as Docker and Podman both speak it. It may be slow: the catalog's thread calls it."""

from __future__ import annotations

import logging
from typing import Any

from obs.agent.limits import RUNTIME_TIMEOUT_S
from obs.agent.rootfs import HostRoot
from obs.agent.runtime.container import Container

log = logging.getLogger(__name__)

API_VERSION = "1.40"  # the oldest that both current Docker and Podman answer; fixed, so that no question is needed


def list_containers(root: HostRoot, socket: str) -> list[Container]:
    """All running containers that one socket tells of; none where there is no such socket.

    Raises: whatever the library raises when the runtime does not answer.
    """
    path = root.at(socket)
    if not path.is_socket():
        return []
    import docker  # not at the top: most hosts have no socket, and it costs 10 MB

    client = docker.APIClient(base_url=f"unix://{path}", version=API_VERSION, timeout=RUNTIME_TIMEOUT_S)
    try:
        runtime = "podman" if "podman" in socket else "docker"
        return [from_api(value, runtime) for value in client.containers()]
    finally:
        client.close()


def from_api(value: dict[str, Any], runtime: str) -> Container:
    """One element of `GET /containers/json`."""
    return Container(
        id=value["Id"],
        runtime=runtime,
        name=(value.get("Names") or [""])[0].removeprefix("/"),
        image=value.get("Image") or "",
        labels=dict(value.get("Labels") or {}),
    )
