"""One Alertmanager: the alerts that it is to be told, and the sending of them until it takes them.

All of it runs in the relay's event loop. In: alerts. Out: POST requests, and counts of what became of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from obs.alertmanager.alert import Alert, rfc3339
from obs.alertmanager.limits import RESEND_S
from obs.alertrelay.config import Alertmanagers
from obs.collector.receivers.scrape.fetching import request_options
from obs.errors import UserError
from obs.model.clock import Clock
from obs.model.labels import Labels

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("obs.alerts")

MOST_WAITING = 10_000
"""Alerts that wait for one Alertmanager: Prometheus's queue capacity."""

AT_ONCE = 256
"""Alerts of one request: Prometheus's batch."""

RETRY_FIRST_S, RETRY_LONGEST_S = 1.0, 60.0
"""An Alertmanager that is away is asked again this soon, doubling: alerts are told anew each minute as it is."""


@dataclass(slots=True)
class Counts:
    """What became of alerts: taken, in requests that failed, never told."""

    sent: int = 0
    errors: int = 0
    dropped: int = 0


class Destination:
    """Told of alerts by `offer`, which never waits; `send_for_ever` is a task of its own."""

    def __init__(self, url: str, config: Alertmanagers, clock: Clock) -> None:
        self.url, self.config = url, config
        self.counts = Counts()
        self.waiting: dict[Labels, Alert] = {}
        self._told: dict[Labels, tuple[Alert, int]] = {}  # as they were taken, and when
        self._clock = clock
        self._some = asyncio.Event()

    def offer(self, alerts: Iterable[Alert]) -> None:
        """Tell these, but for what it has taken just now."""
        now_ns = self._clock.now_ns()
        for alert in alerts:
            told = self._told.get(alert.labels)
            if told is None or now_ns - told[1] >= RESEND_S * 1e9 or _says(told[0], now_ns) != _says(alert, now_ns):
                self.waiting.pop(alert.labels, None)
                self.waiting[alert.labels] = alert
        while len(self.waiting) > MOST_WAITING:
            del self.waiting[next(iter(self.waiting))]
            self.counts.dropped += 1
        if self.waiting:
            self._some.set()

    async def send_for_ever(self, session: aiohttp.ClientSession) -> None:
        """Send what waits, the first first; after a failure what is true then."""
        failures = 0
        while True:
            await self._some.wait()
            batch = list(self.waiting.values())[:AT_ONCE]
            error, again = await self._post(session, batch)
            if error:
                self.counts.errors += len(batch)
                log.warning("cannot tell %s of %d alerts: %s", self.url, len(batch), error)
            if error and again:
                await asyncio.sleep(min(RETRY_FIRST_S * 2**failures, RETRY_LONGEST_S))
                failures = min(failures + 1, 10)
                continue
            failures = 0
            self._done(batch, bool(error))

    def _done(self, batch: Sequence[Alert], refused: bool) -> None:
        now_ns = self._clock.now_ns()
        for alert in batch:
            self._told[alert.labels] = alert, now_ns
            if self.waiting.get(alert.labels) is alert:  # else it has changed meanwhile
                del self.waiting[alert.labels]
        if refused:
            self.counts.dropped += len(batch)
        else:
            self.counts.sent += len(batch)
        if not self.waiting:
            self._some.clear()
            self._told = {k: told for k, told in self._told.items() if now_ns - told[1] < 2 * RESEND_S * 1e9}

    async def _post(self, session: aiohttp.ClientSession, batch: Sequence[Alert]) -> tuple[str, bool]:
        """What went wrong, and whether to ask again."""
        from aiohttp import ClientError

        try:
            options = request_options(self.config)
            headers = {**options["headers"], "Content-Type": "application/json"}
            async with (
                asyncio.timeout(self.config.timeout),
                session.post(self.url, **{**options, "headers": headers}, data=body(batch)) as answer,
            ):
                if answer.status // 100 == 2:
                    return "", False
                return f"it answered {answer.status} {answer.reason}", answer.status in (
                    408,
                    429,
                ) or answer.status >= 500
        except TimeoutError:
            return f"no answer within {self.config.timeout:g} s", True
        except (ClientError, OSError, ValueError, UserError) as e:
            return str(e) or type(e).__name__, True


def body(alerts: Sequence[Alert]) -> bytes:
    """The request's JSON. Source: Alertmanager's openapi.yaml, "postableAlerts"."""
    return orjson.dumps([_shown(alert) for alert in alerts])


def _shown(alert: Alert) -> dict[str, Any]:
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": rfc3339(alert.starts_ns),
        "endsAt": rfc3339(alert.ends_ns),
        "generatorURL": alert.generator_url,
    }


def _says(alert: Alert, now_ns: int) -> tuple[object, ...]:
    """What of an alert is news where it changes; how long it is to be believed is not."""
    ended = alert.resolved(alert.updated_ns)
    return alert.annotations, alert.starts_ns, alert.ends_ns if ended else 0
