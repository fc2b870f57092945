"""A Docker daemon of the test's own, with one image made of busybox; nothing of it is left behind."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from debian_programs import program
from obs_process import eventually

IMAGE = "obs-test:1"
BUSYBOX = Path("/bin/busybox")
NO_LIMITS = "nofile=1024:1024"


class DockerDaemon:
    """dockerd on a socket in `folder`, which is short: a socket's path has 107 characters."""

    def __init__(self, folder: Path) -> None:
        if os.getuid() or not BUSYBOX.exists():
            pytest.skip("a Docker daemon needs root and /bin/busybox (Debian's package busybox-static)")
        self._docker = program("docker", "docker.io")
        self._host = f"unix://{folder}/docker.sock"
        self._log = (folder / "dockerd.log").open("wb+")
        self.folder = folder
        argv = [
            str(program("dockerd", "docker.io")), "-H", self._host, "--data-root", f"{folder}/data",
            "--exec-root", f"{folder}/exec", "-p", f"{folder}/pid", "--iptables=false", "--bridge=none",
            "--storage-driver", "vfs", "--default-ulimit", NO_LIMITS,
            "--exec-opt", "native.cgroupdriver=cgroupfs",
        ]  # fmt: skip
        self.process = subprocess.Popen(argv, stdout=self._log, stderr=self._log)
        if not eventually(self._answers, seconds=60):
            raise AssertionError(f"dockerd did not start: {self.log()}")
        self._import()

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            pytest.skip(f"dockerd does not run here: {self.log()}")
        return self._run("version").returncode == 0

    def log(self) -> str:
        """The end of what it wrote."""
        return Path(self._log.name).read_text()[-2000:]

    def _import(self) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(BUSYBOX, "bin/busybox")
            link = tarfile.TarInfo("bin/sh")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        made = self._run("import", "-", IMAGE, given=packed.getvalue())
        assert made.returncode == 0, made.stderr

    def run(self, name: str, script: str, *options: str) -> str:
        """Run a shell script in a container to its end; returns the container's id."""
        ran = self._run("run", "-d", "--name", name, "--network=none", *options, IMAGE, "/bin/sh", "-c", script)
        assert ran.returncode == 0, ran.stderr.decode() + self.log()
        self._run("wait", name)
        return ran.stdout.decode().strip()

    def _run(self, *argv: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(self._docker), "-H", self._host, *argv], input=given, capture_output=True, timeout=60
        )

    def __enter__(self) -> DockerDaemon:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
