"""The server's side of the worker processes: started for a query, kept for the next ones, ended with the server."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from obs import errors
from obs.errors import QueryLimit, UserError
from obs.sql.messages import IDLE_S, Message, receive

GRACE_S = 5.0
"""How long past its time a worker may take to say so, or to end."""

ARROW_POOL = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Arrow's own pool reserves a gigabyte at once, which would count as taken: a query over a large head would be the last
of its process, and the next one wait for another to start."""


class Worker:
    """One process. Used by one thread at a time."""

    def __init__(self, memory_bytes: int, timeout_s: float) -> None:
        self._memory_bytes, self._timeout_s = memory_bytes, timeout_s
        self._socket, theirs = socket.socketpair()
        with theirs:
            limits = [str(theirs.fileno()), str(memory_bytes), str(timeout_s)]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "obs.sql.worker", *limits],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=os.environ | ARROW_POOL,
            )
        self._socket.settimeout(timeout_s + GRACE_S)
        self._tired, self._last_s = False, time.monotonic()

    def ask(
        self, text: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> tuple[dict[str, Any], dict[str, pa.Table]]:
        """Its answer. Raises: UserError that it tells, QueryLimit where it took too much and was ended."""
        try:
            with Message() as message:
                for name, table in tables.items():
                    with message.table(name, table.schema) as writer:
                        writer.write_table(table)
                message.send(self._socket, text)
            answer, found = receive(self._socket)
        except (EOFError, OSError):
            raise self._ended() from None
        self._tired, self._last_s = answer["tired"], time.monotonic()
        if "error" in answer:
            kind: type[UserError] = getattr(errors, answer["error"])
            raise kind(answer["text"])
        return answer, found

    def is_good(self) -> bool:
        """Whether it can be asked again: it lives, is not about to end, and gave back what it took and reserved."""
        waits = time.monotonic() - self._last_s < IDLE_S / 2
        return waits and not self._tired and self._process.poll() is None

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _ended(self) -> Exception:
        """Why there is no answer: its clock, its memory (it was ended by a signal), or a bug of ours."""
        try:
            code = self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            code = -signal.SIGALRM
        self.close()
        if code == -signal.SIGALRM:
            return QueryLimit(f"cannot finish query in {self._timeout_s:g} s; ask for less, or raise sql.timeout")
        if code >= 0:
            return RuntimeError(f"a worker for SQL has ended with status {code}")
        return QueryLimit(f"cannot run query in {self._memory_bytes} bytes; ask for less, or raise sql.memory")


class Workers:
    """As many as are used at one time. Thread-safe."""

    def __init__(self, memory_bytes: int, timeout_s: float) -> None:
        self._limits = (memory_bytes, timeout_s)
        self._idle: list[Worker] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def one(self) -> Iterator[Worker]:
        """A worker that nobody else has."""
        with self._lock:
            good = [worker for worker in self._idle if worker.is_good()]
            tired = [worker for worker in self._idle if worker not in good]
            found = good.pop() if good else None
            self._idle = good
        for worker in tired:
            worker.close()
        worker = found or Worker(*self._limits)
        try:
            yield worker
        finally:
            self._back(worker)

    def _back(self, worker: Worker) -> None:
        with self._lock:
            if worker.is_good() and not self._closed:
                self._idle.append(worker)
                return
        worker.close()

    def close(self) -> None:
        """End those that nobody has, and the others as they come back."""
        with self._lock:
            self._closed, idle = True, self._idle
            self._idle = []
        for worker in idle:
            worker.close()
