"""Writes a processor's metrics on a timer, and what is idle for the last time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np

from obs.collector.processors.derived.state import State
from obs.collector.processors.derived.writing import metrics
from obs.errors import ObsError
from obs.model.batch import Batch
from obs.model.clock import Clock
from obs.model.ports import UnknownSeries

log = logging.getLogger("obs.derived")

IDLE_S = 900.0
"""A series ends that saw nothing for so long, as in Tempo."""

TICK_S = 1.0
"""How often a processor may do what it does beside writing."""


class Writer:
    """One processor's timer. `lock` guards its state; `tick` is called every second, in the timer's thread."""

    def __init__(
        self,
        name: str,
        state: State,
        lock: threading.Lock,
        consume: Callable[[Batch], None],
        interval_s: float,
        clock: Clock,
        tick: Callable[[float], None] = lambda now_s: None,
    ) -> None:
        self._state, self._lock, self._consume, self._tick = state, lock, consume, tick
        self._interval_s, self._clock = interval_s, clock
        self._all_labels = True
        self._last_ms = clock.now_ns() // 1_000_000  # of the last write, or of the beginning
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Write once more and stop; safe to call twice and without `start`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def write(self) -> None:
        """Write every series as of now. Raises: ObsError; then the next time writes what this one could not."""
        now_ns = self._clock.now_ns()
        try:
            self._write(now_ns, self._all_labels)
        except UnknownSeries:  # the store began a new segment
            self._write(now_ns, True)
        self._all_labels = False

    def _write(self, now_ns: int, all_labels: bool) -> None:
        state, before_s, t_ms = self._state, now_ns / 1e9 - IDLE_S, now_ns // 1_000_000
        zero_ms = min(max(t_ms - round(self._interval_s * 1000), self._last_ms), t_ms - 1)
        with self._lock:
            rows, shown = len(state), dict(state.exemplars)
            idle = state.idle(before_s)
            batch = metrics(state, t_ms, zero_ms, idle, all_labels)
        if not rows:
            return
        self._consume(batch)
        self._last_ms = t_ms
        with self._lock:
            state.exemplars = {at: e for at, e in state.exemplars.items() if shown.get(at) is not e}
            state.fresh[:rows] = False
            still = np.intersect1d(idle, state.idle(before_s))
            if len(still):
                state.forget(still)

    def _run(self) -> None:
        step, waited, stopping = min(TICK_S, self._interval_s), 0.0, False
        while not stopping:
            stopping = self._stopping.wait(step)
            waited += step
            try:
                self._tick(self._clock.now_ns() / 1e9)
                if stopping or waited >= self._interval_s - step / 2:
                    waited = 0.0
                    self.write()
            except ObsError as e:
                log.warning("derived metrics were not stored: %s", e)
            except Exception:
                log.exception("derived metrics were not written")
