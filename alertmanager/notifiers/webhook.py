"""The webhook notifier: Alertmanager's JSON, version 4, sent by POST.

Source: prometheus.io/docs/alerting/latest/configuration, section "webhook_config".
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any

import orjson

from obs.alertmanager import limits
from obs.alertmanager.alert import ZERO_TIME, Alert, rfc3339
from obs.alertmanager.config import Webhook
from obs.alertmanager.group import Notification
from obs.model.labels import Labels
from obs.version import __version__


def payload(notification: Notification, hook: Webhook, external_url: str) -> bytes:
    """The request's body: the group and its alerts, firing ones first."""
    now_ns = notification.now_ns
    alerts: Sequence[Alert] = sorted(notification.alerts, key=lambda a: (a.resolved(now_ns), _place(a)))
    if not hook.send_resolved:
        alerts = notification.firing
    told = alerts[: hook.max_alerts] if hook.max_alerts else alerts
    body = {
        "version": "4",
        "groupKey": notification.group.shown_key,
        "truncatedAlerts": len(alerts) - len(told),
        "status": "firing" if notification.firing else "resolved",
        "receiver": notification.group.route.receiver,
        "groupLabels": dict(notification.group.labels),
        "commonLabels": _common(a.labels for a in alerts),
        "commonAnnotations": _common(a.annotations for a in alerts),
        "externalURL": external_url,
        "alerts": [_alert(a, now_ns) for a in told],
    }
    return orjson.dumps(body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt. `wait_s` None: it is pointless to ask the same again soon; 0: no time was named."""

    error: str = ""
    wait_s: float | None = 0.0


def send(hook: Webhook, body: bytes) -> Answer:
    """One attempt; without an error where the destination answered 2xx."""
    headers = {"Content-Type": "application/json", "User-Agent": f"obs/{__version__}"}
    if hook.authorization:
        headers["Authorization"] = hook.authorization
    request = urllib.request.Request(hook.url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=hook.timeout_s or limits.NOTIFY_TIMEOUT_S):
            return Answer()
    except urllib.error.HTTPError as e:
        with e:
            return Answer(f"{hook.url} answered {e.code} {e.reason}", _wait_s(e.code, e.headers.get("Retry-After")))
    except (OSError, ValueError, HTTPException) as e:
        return Answer(f"cannot reach {hook.url}: {getattr(e, 'reason', e)}")


def _wait_s(status: int, retry_after: str | None) -> float | None:
    """How long a status asks to wait. Source: RFC 9110, sections 10.2.3 and 15.5; RFC 6585, section 4."""
    if status < 500 and status not in (408, 429):
        return None
    if not retry_after:
        return 0.0
    try:
        return max(float(retry_after), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0


def _alert(alert: Alert, now_ns: int) -> dict[str, Any]:
    resolved = alert.resolved(now_ns)
    return {
        "status": "resolved" if resolved else "firing",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": rfc3339(alert.starts_ns),
        "endsAt": rfc3339(alert.ends_ns) if resolved else ZERO_TIME,
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def _place(alert: Alert) -> tuple[str, str, Labels]:
    """Where an alert stands among others: by job, instance, then all labels, as in Alertmanager."""
    labels = dict(alert.labels)
    return labels.get("job", ""), labels.get("instance", ""), alert.labels


def _common(sets: Iterable[Labels]) -> dict[str, str]:
    """The pairs that every set has."""
    all_sets = [set(s) for s in sets]
    return dict(sorted(set.intersection(*all_sets))) if all_sets else {}
