"""Takes out of a notification what is inhibited or silenced; where nothing is left, nothing is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from obs.alertmanager.alert import Alert
from obs.alertmanager.group import Notification


class Mute:
    """Asks `muted_by` for each alert: the names of what mutes it at a time."""

    def __init__(self, muted_by: Callable[[Alert, int], Sequence[str]]) -> None:
        self._muted_by = muted_by

    def run(self, notification: Notification) -> Notification | None:
        """Pass the alerts that nothing mutes."""
        heard = [a for a in notification.alerts if not self._muted_by(a, notification.now_ns)]
        return replace(notification, alerts=heard) if heard else None
