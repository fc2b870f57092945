"""Retention of some streams that is shorter than the store's: what is older is deleted, again and again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from obs.errors import ObsError
from obs.logstore.deletes import plan_delete
from obs.logstore.selection import ALL_TIME
from obs.logstore.store import LogStore

log = logging.getLogger(__name__)

LEAST_S = 600.0
SHARE = 10
"""A delete comes every tenth of its age, and every ten minutes at most: each writes the blocks it touches anew."""


@dataclass(frozen=True, slots=True)
class StreamRetention:
    """Records of a log query that are older than `age_s` go."""

    query: str
    age_s: float


class StreamRetentions:
    """Deletes in a thread of its own. Raises: QueryError where a query cannot be used."""

    def __init__(self, store: LogStore, rules: Sequence[StreamRetention]) -> None:
        self._store, self._rules = store, tuple(rules)
        for rule in self._rules:
            plan_delete(rule.query, store.streams.label_names)
        self._closing = threading.Event()
        self._due_ns = [0] * len(self._rules)
        self._thread = threading.Thread(target=self._run, name="logs-retention", daemon=True)

    def start(self) -> None:
        """Begin, where there is any rule."""
        if self._rules:
            self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def run_due(self) -> int:
        """Delete by the rules whose time has come; returns how many did."""
        now_ns, done = self._store.clock.now_ns(), 0
        for at, rule in enumerate(self._rules):
            if now_ns < self._due_ns[at]:
                continue
            self._store.delete(rule.query, ALL_TIME[0], now_ns - int(rule.age_s * 1e9))
            self._due_ns[at] = now_ns + int(max(rule.age_s / SHARE, LEAST_S) * 1e9)
            done += 1
        if done:
            self._store.clean()
        return done

    def _run(self) -> None:
        while not self._closing.wait(LEAST_S / SHARE):
            try:
                self.run_due()
            except ObsError as e:
                log.warning("cannot delete old logs: %s; trying again", e)
            except Exception:
                log.exception("deleting old logs failed; trying again")
