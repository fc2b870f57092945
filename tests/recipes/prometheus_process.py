"""Debian's Prometheus on a free port and a folder of the test's; a test without the program is skipped and says so."""

from __future__ import annotations

import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
from obs_process import eventually

from obs.client import ObsClient


def program(name: str) -> str:
    """The path of a program of Debian's package `prometheus`; skips the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on PATH: install Debian's package prometheus, as ./dev test does")
    return found


class PrometheusProcess:
    """One Prometheus server with a configuration, in which SELF is its own address. `url` is where it answers."""

    def __init__(self, folder: Path, config: str, *options: str) -> None:
        path = folder / "prometheus.yml"
        address = f"127.0.0.1:{_free_port()}"
        path.write_text(config.replace("SELF", address))
        self.url = f"http://{address}"
        self._log = (folder / "prometheus.log").open("wb+")
        argv = [
            program("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={address}", *options,
        ]  # fmt: skip
        self.process = subprocess.Popen(argv, stdout=self._log, stderr=self._log)
        self.client = ObsClient(self.url)
        if not eventually(self._ready):
            raise AssertionError(f"prometheus did not start: {Path(self._log.name).read_text()[-2000:]}")

    def _ready(self) -> bool:
        assert self.process.poll() is None, Path(self._log.name).read_text()[-2000:]
        try:
            return urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def __enter__(self) -> PrometheusProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
