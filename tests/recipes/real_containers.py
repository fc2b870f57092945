"""Real containers for tests: Podman and runc in a storage root of their own, from one busybox; everything is removed.

`why_not()` says why they cannot run here. No image, no network, no daemon. Podman works in that folder: its monitor
leaves a file `oom` where it was started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

APPLETS = ("sh", "tail", "sleep", "dd", "echo", "printf", "usleep", "head", "cat", "true", "tr")
FOLDERS = ("bin", "proc", "sys", "dev", "tmp", "etc", "run")
CONFIG = """[containers]
default_ulimits=["nofile=1024:1024","nproc=1024:1024"]
netns="none"
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
lock_type="file"
"""


def why_not() -> str:
    """Why no container can run here, or nothing."""
    if os.geteuid() != 0:
        return "containers need root here"
    missing = [tool for tool in ("podman", "runc", "conmon") if shutil.which(tool) is None]
    missing += [] if Path("/bin/busybox").exists() else ["busybox-static"]
    return f"not installed: {' '.join(missing)}" if missing else ""


class Containers:
    """A storage root with its containers; `tag` is the cgroup they run under."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.tag = f"obs-test-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
        self._rootfs = base / "rootfs"
        for name in FOLDERS:
            (self._rootfs / name).mkdir(parents=True)
        shutil.copy2("/bin/busybox", self._rootfs / "bin/busybox")
        for applet in APPLETS:
            (self._rootfs / "bin" / applet).symlink_to("busybox")
        config = base / "containers.conf"
        config.write_text(CONFIG)
        self._env = {**os.environ, "CONTAINERS_CONF": str(config)}
        roots = ["--root", str(base / "root"), "--runroot", str(base / "run"), "--tmpdir", str(base / "tmp")]
        self._podman = ["podman", *roots, "--storage-driver", "vfs"]

    @property
    def storage(self) -> str:
        """Podman's storage root."""
        return str(self.base / "root")

    def podman(self, *args: str, check: bool = True) -> str:
        """Run Podman on this storage root; its output. Raises: RuntimeError with what it said."""
        command = [*self._podman, *args]
        done = subprocess.run(command, env=self._env, cwd=self.base, text=True, capture_output=True, timeout=60)
        if check and done.returncode != 0:
            raise RuntimeError(f"podman {args[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def run(self, name: str, script: str, *options: str) -> str:
        """Start a shell script in a container; its id."""
        limits = ["--cgroup-parent", f"/{self.tag}", "--log-driver", "k8s-file", "--no-hosts"]
        command = ["--rootfs", str(self._rootfs), "/bin/sh", "-c", script]
        return self.podman("run", "-d", "--name", f"{self.tag}-{name}", *limits, *options, *command)

    def serve(self, socket: Path) -> subprocess.Popen[bytes]:
        """Podman's API on a Unix socket, until the process is ended."""
        command = [*self._podman, "system", "service", "--time=0", f"unix://{socket}"]
        return subprocess.Popen(command, env=self._env, cwd=self.base, stderr=subprocess.DEVNULL)

    def cgroup(self, container_id: str) -> str:
        """The cgroup of a container."""
        return f"/{self.tag}/libpod-{container_id}"

    def remove(self) -> None:
        """Kill and remove every container, then its cgroups in every tree."""
        self.podman("rm", "-f", "-t", "0", "-a", check=False)
        deadline = time.monotonic() + 10
        while not self._remove_cgroups() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _remove_cgroups(self) -> bool:
        """Remove our cgroups; monitors need a moment to leave theirs."""
        trees = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]
        gone = True
        for tree in trees:
            for folder, _, _ in os.walk(tree / self.tag, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    gone = False
        return gone


@contextmanager
def real_containers() -> Iterator[Containers]:
    """Containers that are gone at the end, whatever happens. Their folder is short: Podman takes 50 characters."""
    base = Path(tempfile.mkdtemp(prefix="obs-", dir="/tmp"))
    containers = Containers(base)
    try:
        yield containers
    finally:
        containers.remove()
        shutil.rmtree(base, ignore_errors=True)
