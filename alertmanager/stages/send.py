"""Sends a notification to every destination of its receiver, with retry and back-off across ticks.

A destination that fails makes the group due again after a growing wait; those that took it are not told twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from obs.alertmanager import limits
from obs.alertmanager.config import Receiver, Webhook
from obs.alertmanager.group import NS, Notification
from obs.alertmanager.notifiers import webhook

log = logging.getLogger("obs.alerts")
Delivery = tuple[str, tuple[tuple[str, bool], ...]]  # group and what it says, by which a retry is recognised


class Send:
    """The last stage. Counts per destination are kept in `sent` and `failed`."""

    def __init__(self, receivers: Mapping[str, Receiver], external_url: str) -> None:
        self._receivers = receivers
        self._external_url = external_url
        self._taken: dict[str, set[Delivery]] = {}  # destination → what it took of a notification that is being retried
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="notify")
        self.sent = 0
        self.failed = 0

    def run(self, notification: Notification) -> Notification | None:
        """Send; on success the group remembers what was told, on failure when to try again."""
        group = notification.group
        says = tuple(sorted((a.fingerprint, not a.resolved(notification.now_ns)) for a in notification.alerts))
        delivery: Delivery = (group.key, says)
        hooks = self._receivers[group.route.receiver].webhooks
        waiting = [h for h in hooks if delivery not in self._taken.get(h.url, set())]
        results = list(self._workers.map(lambda hook: self._deliver(hook, notification), waiting))
        for hook, error in zip(waiting, results, strict=True):
            if not error:
                self._taken.setdefault(hook.url, set()).add(delivery)
        errors = [e for e in results if e]
        self.failed += len(errors)
        self.sent += len(results) - len(errors)
        if errors:
            self._retry(notification, errors)
            return None
        for taken in self._taken.values():
            taken.discard(delivery)
        group.told, group.told_ns, group.failures = dict(says), notification.now_ns, 0
        if not notification.firing:
            group.told = {}
        return notification

    def _deliver(self, hook: Webhook, notification: Notification) -> str:
        """An error's text, or "" where the destination took it (or has nothing to hear)."""
        if not notification.firing and not hook.send_resolved:
            return ""
        return webhook.send(hook, webhook.payload(notification, hook, self._external_url))

    def _retry(self, notification: Notification, errors: list[str]) -> None:
        group = notification.group
        wait_s = min(limits.RETRY_FIRST_S * 2**group.failures, limits.RETRY_LONGEST_S)
        group.failures += 1
        group.due_ns = min(group.due_ns, notification.now_ns + int(wait_s * NS))
        log.warning("notification of %s failed (%s); trying again in %g s", group.key, "; ".join(errors), wait_s)
