"""Says only what is news: something new fires, something resolved, or the repeat interval has passed.

Source: Alertmanager's notify package, DedupStage.
"""

from __future__ import annotations

from collections.abc import Mapping

from obs.alertmanager.config import Receiver
from obs.alertmanager.group import NS, Notification


class Dedupe:
    """Ends notifications that would repeat what the receiver has heard."""

    def __init__(self, receivers: Mapping[str, Receiver]) -> None:
        self._receivers = receivers

    def run(self, notification: Notification) -> Notification | None:
        """Pass what is news to one of the receiver's destinations."""
        hooks = self._receivers[notification.group.route.receiver].webhooks
        kinds = {hook.send_resolved for hook in hooks} or {True}
        return notification if any(is_news(notification, kind) for kind in kinds) else None


def is_news(notification: Notification, send_resolved: bool) -> bool:
    """Whether a destination is to hear of it. An alert that was muted meanwhile is none."""
    group, now_ns = notification.group, notification.now_ns
    firing = {a.fingerprint for a in notification.firing}
    resolved = {a.fingerprint for a in notification.alerts} - firing
    told_firing = {f for f, is_firing in group.told.items() if is_firing}
    if not group.told or not firing <= told_firing:
        return bool(firing)
    if not firing:
        return bool(told_firing)
    if send_resolved and not resolved <= group.told.keys() - told_firing:
        return True
    return now_ns - group.told_ns >= group.route.repeat_interval_s * NS
