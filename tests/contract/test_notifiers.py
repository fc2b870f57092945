"""Each way to be told of alerts under the contract."""

from __future__ import annotations

from typing import Any

from notifier_contract import NotifierContract

from obs.alertmanager.config import Webhook
from obs.alertmanager.group import Notification
from obs.alertmanager.notifiers import webhook
from obs.alertmanager.notifiers.webhook import Answer


class TestWebhook(NotifierContract):
    """Alertmanager's JSON, version 4."""

    def send(self, url: str, told: Notification, *, send_resolved: bool = True, timeout_s: float = 10.0) -> Answer:
        """By its two functions, as the last stage calls them."""
        hook = Webhook(url, send_resolved, 0, timeout_s)
        return webhook.send(hook, webhook.payload(told, hook, "http://obs"))

    def told(self, body: Any) -> list[tuple[str, str]]:
        """From the alerts in the body."""
        return [(a["labels"]["job"], a["status"]) for a in body["alerts"]]
