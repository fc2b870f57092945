"""The contract of every way to be told of alerts: what is taken, what is refused, and when to come back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from web_hook import Hook, listening

from obs.alertmanager.alert import Alert
from obs.alertmanager.config import parse
from obs.alertmanager.group import Group, Notification
from obs.alertmanager.notifiers.webhook import Answer
from obs.model.labels import make_labels

NOW_NS = 1_790_000_000 * 10**9


def alert(job: str, ends_ns: int = 0) -> Alert:
    """One that began a minute ago."""
    labels = make_labels({"alertname": "Late", "job": job})
    return Alert(labels, make_labels({"summary": f"{job} is late"}), NOW_NS - 60 * 10**9, ends_ns, NOW_NS)


def notification(*alerts: Alert) -> Notification:
    """A group of them on its way to a receiver."""
    config = parse({"route": {"receiver": "ops", "group_by": ["alertname"]}, "receivers": [{"name": "ops"}]})
    return Notification(Group("key", config.route, make_labels({"alertname": "Late"}), NOW_NS), alerts, NOW_NS)


class NotifierContract:
    """Subclasses send to an HTTP destination and say what it was told."""

    @abstractmethod
    def send(self, url: str, told: Notification, **options: Any) -> Answer:
        """One attempt. Options: send_resolved, timeout_s."""

    @abstractmethod
    def told(self, body: Any) -> list[tuple[str, str]]:
        """(job, status) of the alerts in a body, in their order."""

    @pytest.fixture
    def hook(self) -> Iterator[Hook]:
        """The destination."""
        with listening() as found:
            yield found

    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_a_destination_hears_of_firing_alerts_first(self, hook: Hook, status: int) -> None:
        hook.status = status
        assert self.send(hook.url, notification(alert("a", NOW_NS), alert("c"), alert("b"))) == Answer()
        (body,) = hook.bodies
        assert self.told(body) == [("b", "firing"), ("c", "firing"), ("a", "resolved")]

    def test_one_that_wants_no_resolved_alerts_hears_none(self, hook: Hook) -> None:
        assert not self.send(hook.url, notification(alert("a", NOW_NS), alert("b")), send_resolved=False).error
        assert [self.told(body) for body in hook.bodies] == [[("b", "firing")]]

    @pytest.mark.parametrize(("status", "wait_s"), [(400, None), (404, None), (408, 0.0), (429, 0.0), (503, 0.0)])
    def test_a_refusal_names_who_refused_and_whether_to_come_back(
        self, hook: Hook, status: int, wait_s: float | None
    ) -> None:
        hook.status = status
        answer = self.send(hook.url, notification(alert("a")))
        assert answer.wait_s == wait_s
        assert hook.url in answer.error
        assert str(status) in answer.error

    @pytest.mark.parametrize("status", [429, 503])
    def test_the_wait_is_the_one_that_was_asked_for(self, hook: Hook, status: int) -> None:
        hook.status, hook.retry_after = status, "25"
        assert self.send(hook.url, notification(alert("a"))).wait_s == 25.0
        hook.retry_after = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        assert 3500 < (self.send(hook.url, notification(alert("a"))).wait_s or 0) <= 3600
        hook.retry_after = "soon"
        assert self.send(hook.url, notification(alert("a"))).wait_s == 0.0

    def test_nobody_there(self, hook: Hook) -> None:
        hook.close()
        answer = self.send(hook.url, notification(alert("a")))
        assert answer.error.startswith(f"cannot reach {hook.url}: ")
        assert answer.wait_s == 0.0

    def test_one_that_hangs_is_given_up(self, hook: Hook) -> None:
        hook.open.clear()
        answer = self.send(hook.url, notification(alert("a")), timeout_s=0.1)
        assert answer.error.startswith(f"cannot reach {hook.url}: ")
