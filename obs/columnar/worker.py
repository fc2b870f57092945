"""A named background thread that does a step again and again until it is stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from obs.errors import ObsError

log = logging.getLogger(__name__)


class Worker:
    """Calls `step`, then waits for as many seconds as it returned, or until `wake`. A step's error is logged."""

    def __init__(self, name: str, step: Callable[[], float], on_error_s: float = 30.0) -> None:
        self._step = step
        self._on_error_s = on_error_s
        self._stop = False
        self._waker = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Do the next step now."""
        self._waker.set()

    def end(self) -> None:
        """Do no other step."""
        self._stop = True
        self._waker.set()

    def join(self) -> None:
        """Wait for the running step; safe to call twice and without `start`."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop:
            self._waker.clear()
            try:
                wait_s = self._step()
            except (ObsError, OSError) as e:
                log.error("%s: %s; next try in %g s", threading.current_thread().name, e, self._on_error_s)
                wait_s = self._on_error_s
            except Exception:
                log.exception("%s failed; it goes on", threading.current_thread().name)
                wait_s = self._on_error_s
            if not self._stop:
                self._waker.wait(wait_s)
