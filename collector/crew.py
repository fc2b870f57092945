"""Threads that work through what they are given: a fifth of the cost of an executor, which makes a future each time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

log = logging.getLogger("obs.crew")


class Crew:
    """Threads that do what they are given, in order of arrival; started with the first of it."""

    def __init__(self, size: int, name: str) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(size)
        ]
        self._starting = threading.Lock()
        self._started = False

    def do(self, work: Callable[[], None]) -> None:
        """Have it done; what it raises goes to the log."""
        if not self._started:
            self._start()
        self._work.put(work)

    def _start(self) -> None:
        with self._starting:
            if not self._started:
                for thread in self._threads:
                    thread.start()
                self._started = True

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except BaseException:  # a panic in a library is no Exception, and must not cost the thread
                log.exception("work that was to answer by itself failed")
            del work

    def close(self) -> None:
        """Wait for what was given; safe to call twice."""
        with self._starting:
            started, self._started = self._started, True
        if started:
            for _ in self._threads:
                self._work.put(None)
            for thread in self._threads:
                thread.join()
