"""Says only what is news: something new fires, something resolved, or the repeat interval has passed."""

from __future__ import annotations

from obs.alertmanager.group import NS, Notification


class Dedupe:
    """Ends notifications that would repeat what the receiver has heard."""

    def run(self, notification: Notification) -> Notification | None:
        """Pass what is news."""
        group, now_ns = notification.group, notification.now_ns
        firing = {a.fingerprint for a in notification.firing}
        told_firing = {f for f, is_firing in group.told.items() if is_firing}
        if not firing and not told_firing:
            return None
        repeat = bool(firing) and now_ns - group.told_ns >= group.route.repeat_interval_s * NS
        return notification if firing != told_firing or repeat else None
