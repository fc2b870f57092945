"""The way of one signal to the server: memory while all is well, the spool on disk while it is not, always in order.

A request leaves only when the server has acknowledged it (or will never take it, or, for metrics, the spool is full:
counted loss). One thread per lane sends; any thread submits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from obs.agent.limits import QUEUE_ENTRIES_MEMORY, REFUSED_TRIES_MAX, RETRY_AFTER_MAX_S, SHUTDOWN_GRACE_S
from obs.agent.own import OwnMetrics
from obs.agent.request import Request
from obs.agent.sender import Outcome, Verdict, backoff_s
from obs.agent.spool import Spool

log = logging.getLogger(__name__)


class Lane:
    """Delivers requests of `signal` in order, at least once.

    `done` is called with each request that needs no more care. With `drop_oldest` a full spool makes room for the
    new; without, `is_full` asks the submitter to wait.
    """

    def __init__(
        self,
        signal: str,
        send: Callable[[str, bytes], Outcome],
        spool: Spool,
        own: OwnMetrics,
        *,
        drop_oldest: bool,
        done: Callable[[Request], None] = lambda _: None,
    ) -> None:
        self.signal = signal
        self._send = send
        self._spool = spool
        self._own = own
        self._drop_oldest = drop_oldest
        self._done = done
        self._memory: deque[Request] = deque()
        self._ready = threading.Condition()
        self._stopping_at: float | None = None
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"obs-agent-{signal}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Hand over a request; returns at once."""
        with self._ready:
            self._memory.append(request)
            self._ready.notify()

    @property
    def is_full(self) -> bool:
        """Whether no more should be submitted now."""
        return len(self._memory) >= QUEUE_ENTRIES_MEMORY or self._spool.is_over

    @property
    def is_idle(self) -> bool:
        """Whether everything submitted has been dealt with."""
        return not self._memory and not len(self._spool)

    def stop(self, grace_s: float = SHUTDOWN_GRACE_S) -> None:
        """Deliver what can be delivered within `grace_s`, leave the rest on disk."""
        with self._ready:
            self._stopping_at = time.monotonic() + grace_s
            self._ready.notify()
        if self._thread.is_alive():
            self._thread.join(grace_s + 1.0)

    def report(self) -> None:
        """Set the gauges of this lane."""
        self._own.set("obs_agent_spool_bytes", self._spool.bytes, signal=self.signal)
        self._own.set("obs_agent_spool_requests", len(self._spool), signal=self.signal)
        self._own.set("obs_agent_spool_damaged_total", self._spool.damaged, signal=self.signal)

    def _run(self) -> None:
        while self._wait_for_work():
            request = self._spool.head()
            spooled = request is not None
            if request is None:
                if not self._memory:
                    continue
                request = self._memory[0]
            outcome = self._send(self.signal, request.body)
            if self._is_final(outcome):
                self._finish(request, outcome)
                self._remove(spooled)
            else:
                self._keep(outcome)
        self._spill()

    def _wait_for_work(self) -> bool:
        """False when it is time to end: stopped, and either all is delivered or the grace is over."""
        with self._ready:
            while self.is_idle and self._stopping_at is None:
                self._ready.wait()
            if self._stopping_at is None:
                return True
            return not self.is_idle and time.monotonic() < self._stopping_at

    def _is_final(self, outcome: Outcome) -> bool:
        if outcome.verdict is Verdict.DOUBTFUL:
            return self._failures + 1 >= REFUSED_TRIES_MAX
        return outcome.verdict is not Verdict.RETRY

    def _finish(self, request: Request, outcome: Outcome) -> None:
        self._failures = 0
        if outcome.verdict is Verdict.DELIVERED:
            self._own.add("obs_agent_sent_items_total", request.items - outcome.rejected, signal=self.signal)
            if outcome.rejected:
                self._lose(outcome.rejected, "rejected", outcome.message)
        else:
            self._own.add("obs_agent_send_failures_total", signal=self.signal, code=outcome.code)
            self._lose(request.items, outcome.code.lower(), outcome.message)
        self._done(request)

    def _lose(self, items: int, reason: str, message: str = "") -> None:
        self._own.add("obs_agent_dropped_items_total", items, signal=self.signal, reason=reason)
        log.warning("cannot deliver %d items of %s: %s %s; they are dropped", items, self.signal, reason, message)

    def _remove(self, spooled: bool) -> None:
        if spooled:
            self._spool.remove_head()
        else:
            with self._ready:
                self._memory.popleft()

    def _keep(self, outcome: Outcome) -> None:
        """Put everything that waits on disk and wait: as long as the server asks, or longer with each failure."""
        if self._failures == 0:
            log.warning("cannot send %s: %s %s; trying again", self.signal, outcome.code, outcome.message)
        self._failures += 1
        self._own.add("obs_agent_send_failures_total", signal=self.signal, code=outcome.code)
        self._spill()
        delay_s = backoff_s(self._failures)
        if outcome.retry_after_s is not None:
            delay_s = min(outcome.retry_after_s, RETRY_AFTER_MAX_S) + 0.1 * delay_s
        self._pause(delay_s)

    def _pause(self, delay_s: float) -> None:
        """Wait, but not past a stop; what is submitted meanwhile goes to disk."""
        until = time.monotonic() + delay_s
        while (left := until - time.monotonic()) > 0:
            with self._ready:
                if self._stopping_at is not None:
                    self._stopping_at = 0.0  # a server that failed just now gets no more of the grace
                    return
                self._ready.wait(left)
            self._spill()

    def _spill(self) -> None:
        """Memory → disk, in order. Where the disk refuses, requests stay in memory, and metrics lose the oldest."""
        while self._memory:
            try:
                self._spool.append(self._memory[0])
            except OSError as e:
                log.warning("cannot spool %s in %r: %s", self.signal, str(self._spool.folder), e)
                while self._drop_oldest and len(self._memory) > QUEUE_ENTRIES_MEMORY:
                    self._lose(self._memory.popleft().items, "spool_unwritable")
                return
            with self._ready:
                self._memory.popleft()
        while self._drop_oldest and self._spool.is_over and len(self._spool) > 1:
            oldest = self._spool.head()
            if oldest is not None:
                self._lose(oldest.items, "spool_full")
                self._spool.remove_head()
