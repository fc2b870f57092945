"""The intake: every alert known now, by fingerprint, whoever sent it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from obs.alertmanager.alert import Alert, from_json
from obs.alertmanager.limits import RESOLVED_RETENTION_S


class Intake:
    """Alerts by fingerprint; a later message about the same labels updates, an ended one is kept a while."""

    def __init__(self) -> None:
        self._alerts: dict[str, Alert] = {}
        self._lock = threading.Lock()

    def take(self, alerts: Iterable[Alert]) -> None:
        """Enter or update alerts; one that went on firing keeps its first start."""
        with self._lock:
            for alert in alerts:
                old = self._alerts.get(alert.fingerprint)
                if old and not old.resolved(alert.updated_ns):
                    alert = replace(alert, starts_ns=min(old.starts_ns, alert.starts_ns))
                self._alerts[alert.fingerprint] = alert

    def all(self) -> Sequence[Alert]:
        """Every alert, ended ones included, by labels."""
        with self._lock:
            return sorted(self._alerts.values(), key=lambda a: a.labels)

    def forget_ended(self, now_ns: int) -> None:
        """Drop alerts that ended long enough ago for everyone to have been told."""
        limit = now_ns - int(RESOLVED_RETENTION_S * 1e9)
        with self._lock:
            self._alerts = {f: a for f, a in self._alerts.items() if not 0 < a.ends_ns <= limit}

    def to_json(self) -> list[dict[str, Any]]:
        """For the state file."""
        return [a.to_json() for a in self.all()]

    def restore(self, saved: Iterable[Mapping[str, Any]]) -> None:
        """Take back what `to_json` gave."""
        self.take(from_json(value) for value in saved)
