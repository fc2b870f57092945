"""The node agent as a child process: started beside the server, restarted when it ends, stopped with it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger("obs.agent")

FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0
STOP_S = 5.0


class AgentProcess:
    """Keeps one agent running. `start` returns at once; `close` ends it."""

    def __init__(self, data: Path, interval_s: float, globs: Sequence[str]) -> None:
        logs = [word for glob in globs for word in ("--logs", glob)]
        self._argv = [
            sys.executable,
            "-m",
            "obs.agent",
            "--with-parent",
            "--data",
            str(data),
            "--interval",
            f"{interval_s:g}",
            *logs,
        ]
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="agent-process", daemon=True)
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The agent's process id while it runs."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self, to: str) -> None:
        """Run the agent, sending to OTLP/gRPC at `to`, until `close`."""
        self._argv += ["--to", to]
        self._thread.start()

    def close(self) -> None:
        """Ask the agent to end, and end it if it does not."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2 * STOP_S)

    def _keep(self) -> None:
        backoff = FIRST_BACKOFF_S
        while not self._stopping.is_set():
            self._process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL)
            self._wait(self._process)
            if self._stopping.wait(backoff):  # a signal to the whole group ends the agent before us
                return
            log.warning("agent ended with status %s; starting it again", self._process.returncode)
            self.restarts += 1
            backoff = min(2 * backoff, LONGEST_BACKOFF_S)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            if self._stopping.wait(0.2):
                process.terminate()
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
