"""Sends a notification to every destination of its receiver, with retry and back-off across ticks.

A destination that is away makes the group due again after a growing wait, or the one it asked for; those that took it
are not told twice. One that refuses is not asked again before the group's next interval.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from functools import partial

from obs.alertmanager import limits
from obs.alertmanager.config import Receiver, Webhook
from obs.alertmanager.group import NS, Notification
from obs.alertmanager.notifiers import webhook
from obs.alertmanager.notifiers.webhook import Answer
from obs.alertmanager.stages.dedupe import is_news
from obs.alertmanager.workers import side_by_side

log = logging.getLogger("obs.alerts")


class Send:
    """The last stage. Deliveries are counted in `sent` and `failed`."""

    def __init__(self, receivers: Mapping[str, Receiver], external_url: str) -> None:
        self._receivers = receivers
        self._external_url = external_url
        self._lock = threading.Lock()
        self.sent = 0
        self.failed = 0

    def run(self, notification: Notification) -> Notification | None:
        """Send; on success the group remembers what was told, on failure when to try again."""
        group = notification.group
        says = tuple(sorted((a.fingerprint, not a.resolved(notification.now_ns)) for a in notification.alerts))
        hooks = [h for h in self._receivers[group.route.receiver].webhooks if is_news(notification, h.send_resolved)]
        waiting = [h for h in hooks if (h.url, says) not in group.taken]
        answers = self._deliver_all(waiting, notification)
        failed = [a for a in answers if a.error]
        with self._lock:
            self.failed += len(failed)
            self.sent += len(answers) - len(failed)
        if failed:
            group.taken |= {(h.url, says) for h, a in zip(waiting, answers, strict=True) if not a.error}
            self._retry(notification, failed)
            return None
        group.taken = frozenset()
        group.told, group.told_ns, group.failures = dict(says), notification.now_ns, 0
        if not notification.firing:
            group.told = {}
        return notification

    def _deliver_all(self, hooks: Sequence[Webhook], notification: Notification) -> Sequence[Answer]:
        """Side by side: a slow destination delays no other."""
        answers: dict[Webhook, Answer] = {}

        def deliver(hook: Webhook) -> None:
            answers[hook] = self._deliver(hook, notification)

        side_by_side([partial(deliver, hook) for hook in hooks])
        return [answers[hook] for hook in hooks]

    def _deliver(self, hook: Webhook, notification: Notification) -> Answer:
        if not notification.firing and not hook.send_resolved:
            return Answer()  # it has nothing to hear
        return webhook.send(hook, webhook.payload(notification, hook, self._external_url))

    def _retry(self, notification: Notification, failed: Sequence[Answer]) -> None:
        group, now_ns = notification.group, notification.now_ns
        errors = "; ".join(a.error for a in failed)
        waits = [a.wait_s for a in failed if a.wait_s is not None]
        if waits:
            backed_off = min(limits.RETRY_FIRST_S * 2**group.failures, limits.RETRY_LONGEST_S)
            asked = min(max(waits), limits.RETRY_LONGEST_S)
            due_ns = now_ns + int(max(backed_off, asked) * NS)
            group.due_ns = due_ns if asked else min(group.due_ns, due_ns)
        group.failures += 1
        wait_s = (group.due_ns - now_ns) / NS
        log.warning("notification of %s failed (%s); trying again in %g s", group.key, errors, wait_s)
