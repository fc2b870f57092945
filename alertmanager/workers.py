"""Threads that wait for queries and receivers. They are daemons: one that hangs keeps no process from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from queue import SimpleQueue

Task = Callable[[], None]


class Workers:
    """At most `most` threads, started as they are needed."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._tasks: SimpleQueue[tuple[Future[None], Task]] = SimpleQueue()
        self._open: set[Future[None]] = set()
        self._threads = 0

    def submit(self, task: Task) -> Future[None]:
        """Run a task as soon as a thread is free. Called by one thread."""
        future: Future[None] = Future()
        self._open = {f for f in self._open if not f.done()} | {future}
        if self._threads < min(self._most, len(self._open)):
            self._threads += 1
            threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._tasks.put((future, task))
        return future

    def settle(self, timeout_s: float | None = None) -> None:
        """Wait until nothing runs."""
        wait(self._open, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Begin nothing that waits, and give what runs a while to end."""
        for future in self._open:
            future.cancel()
        self.settle(timeout_s)

    def _run(self) -> None:
        while True:
            future, task = self._tasks.get()
            if future.set_running_or_notify_cancel():
                run(future, task)


def run(future: Future[None], task: Task) -> None:
    """A task's end or error into its future."""
    try:
        task()
        future.set_result(None)
    except BaseException as e:
        future.set_exception(e)


def side_by_side(tasks: Sequence[Task]) -> None:
    """Run tasks at once and wait for all. Raises: what the first that failed raised."""
    futures: list[Future[None]] = [Future() for _ in tasks]
    for future, task in zip(futures, tasks, strict=True):
        threading.Thread(target=run, args=(future, task), daemon=True).start()
    for future in futures:
        future.result()
