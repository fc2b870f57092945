"""A real `obs up` on free ports and a folder of the test's: started, asked, killed, started again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from obs.client import ObsClient

READY_S = 60.0
T = TypeVar("T")


class ObsProcess:
    """One server process. `client` speaks to it; `otlp_grpc` is HOST:PORT, `otlp_http` a URL.

    `receivers`: HOST:PORT of the `ports` that a configuration opens beside these.
    """

    def __init__(self, data: Path, *options: str, agent: bool = False, ports: int = 0) -> None:
        self.data = data
        self._ports = ports
        self._options = [*options, *([] if agent else ["--no-agent"])]
        self.start()

    def start(self) -> None:
        """Start and wait until it says that it is ready."""
        ports = [w for name in ("listen", "otlp-grpc", "otlp-http") for w in (f"--{name}", "127.0.0.1:0")]
        self.log = (self.data.parent / f"{self.data.name}.log").open("ab+")
        argv = [sys.executable, "-m", "obs.cli.main", "up", "--data", str(self.data), *ports, *self._options]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=self.log, text=True)
        said = "".join(self._line() for _ in range(5))
        self.receivers = dict(self._line().split() for _ in range(self._ports))
        self.url = re.search(r"APIs +(\S+)", said)[1]  # type: ignore[index]
        self.otlp_grpc = re.search(r"gRPC +(\S+)", said)[1]  # type: ignore[index]
        self.otlp_http = re.search(r"OTLP/HTTP +(\S+)", said)[1]  # type: ignore[index]
        self.client = ObsClient(self.url)

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"obs did not start: {self.errors()}"
        return line

    def errors(self) -> str:
        """What it wrote to standard error."""
        self.log.seek(0)
        return self.log.read().decode()

    def kill(self) -> None:
        """SIGKILL."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        self.process.terminate()
        status = self.process.wait(60)
        self.log.close()
        return status

    def __enter__(self) -> ObsProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def eventually(ask: Callable[[], T], good: Callable[[T], bool] = bool, seconds: float = 30.0) -> T:
    """The first answer of `ask` that is `good`; the last one where none was before the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if good(answer) or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)
