"""What the agent is told: where to send, how often to look, what to follow."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_TARGET = "127.0.0.1:4317"
DEFAULT_INTERVAL_S = 10.0
SERVICE_NAME = "obs-agent"

DEFAULT_LOG_GLOBS = ("/var/log/*.log", "/var/log/syslog", "/var/log/messages")
CONTAINER_LOG_GLOBS = (
    "/var/lib/docker/containers/*/*-json.log",
    "/var/log/pods/*/*/*.log",
    "/var/lib/containers/storage/*-containers/*/userdata/ctr.log",
)
DEFAULT_SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock")
DEFAULT_PODMAN_ROOTS = ("/var/lib/containers/storage",)


def default_data_dir() -> Path:
    """A folder of our own: the system's where we are root, else the user's."""
    if os.geteuid() == 0:
        return Path("/var/lib/obs-agent")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "obs-agent"


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Everything that may differ between two agents; the defaults suit a host with root."""

    to: str = DEFAULT_TARGET
    interval_s: float = DEFAULT_INTERVAL_S
    data_dir: Path = field(default_factory=default_data_dir)
    log_globs: tuple[str, ...] = DEFAULT_LOG_GLOBS
    container_logs: bool = True
    root: Path = Path("/")
    first_line: str = ""  # a regex that begins a record; empty: lines that begin with white space continue one
    sockets: tuple[str, ...] = DEFAULT_SOCKETS
    podman_roots: tuple[str, ...] = DEFAULT_PODMAN_ROOTS
    host_name: str = field(default_factory=lambda: os.uname().nodename)

    @property
    def resource(self) -> dict[str, str]:
        """The resource of everything this agent sends: `job` and `instance` in Prometheus' words."""
        return {
            "service.name": SERVICE_NAME,
            "service.instance.id": self.host_name,
            "host.name": self.host_name,
        }
