"""Groups and their timers: which group is to be told about now, and the passage through the stages.

`tick(now_ns)` flushes the groups that are due; the stages decide whether anything is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from obs.alertmanager.alert import Alert
from obs.alertmanager.config import AlertConfig, Route
from obs.alertmanager.intake import Intake
from obs.alertmanager.limits import GROUPS_TOLD_AT_ONCE
from obs.alertmanager.route import group_key, group_labels, routes_for
from obs.alertmanager.workers import Workers
from obs.model.labels import Labels

log = logging.getLogger("obs.alerts")
NS = 1_000_000_000


@dataclass(slots=True)
class Group:
    """Alerts of one route that share their group labels; `told`: what the receiver last heard, fingerprint → firing."""

    key: str
    route: Route
    labels: Labels
    due_ns: int
    told_ns: int = 0
    told: dict[str, bool] = field(default_factory=dict)
    failures: int = 0
    taken: frozenset[tuple[str, Any]] = frozenset()  # of a notification that is being retried: who took it, and what
    busy: bool = False

    @property
    def shown_key(self) -> str:
        """Alertmanager's groupKey; `key` has the receiver as well, since several routes may have one path."""
        return group_key(self.route, self.labels)


@dataclass(frozen=True, slots=True)
class Notification:
    """One group as it stands at `now_ns`, on its way to its receiver."""

    group: Group
    alerts: Sequence[Alert]
    now_ns: int

    @property
    def firing(self) -> Sequence[Alert]:
        """Those that go on."""
        return [a for a in self.alerts if not a.resolved(self.now_ns)]


class Stage(Protocol):
    """One step of a notification: returns what goes on to the next step, or None to end here."""

    def run(self, notification: Notification) -> Notification | None:
        """Pass, change or end the notification. Must not raise."""


class Dispatcher:
    """Sorts the intake's alerts into groups and sends due groups through `stages`."""

    def __init__(self, config: AlertConfig, intake: Intake, stages: Sequence[Stage]) -> None:
        self._config = config
        self._intake = intake
        self._stages = stages
        self.groups: dict[str, Group] = {}
        self._senders = Workers(GROUPS_TOLD_AT_ONCE, "notify")

    def tick(self, now_ns: int) -> Sequence[Future[None]]:
        """Start to tell what is due; what was started. A group is told one thing at a time, beside the others."""
        members = self._sort(now_ns)
        due = [g for g in self.groups.values() if g.due_ns <= now_ns and not g.busy]
        started = [self._start(Notification(g, members.get(g.key, []), now_ns)) for g in due]
        idle = [k for k, g in self.groups.items() if k not in members and not g.told and not g.busy]
        self.groups = {k: g for k, g in self.groups.items() if k not in idle}
        return started

    def _start(self, notification: Notification) -> Future[None]:
        group = notification.group
        group.due_ns = notification.now_ns + int(group.route.group_interval_s * NS)
        group.busy = True
        return self._senders.submit(partial(self._send, notification))

    def route_by(self, config: AlertConfig, stages: Sequence[Stage]) -> None:
        """Route by another configuration from now on. Groups that it has too know what they told; others are gone."""
        self._config, self._stages = config, stages
        routes = {key: route for alert in self._intake.all() for key, route, _ in self._places(alert)}
        self.groups = {key: group for key, group in self.groups.items() if key in routes}
        for key, group in self.groups.items():
            group.route = routes[key]

    def close(self, timeout_s: float) -> None:
        """Start no more and wait a while for what is on its way."""
        self._senders.close(timeout_s)

    def members(self) -> Mapping[str, Sequence[Alert]]:
        """Key of each group that stands → its alerts."""
        members: dict[str, list[Alert]] = {}
        for alert in self._intake.all():
            for key, _, _ in self._places(alert):
                members.setdefault(key, []).append(alert)
        return {key: members.get(key, []) for key in self.groups}

    def _places(self, alert: Alert) -> Iterator[tuple[str, Route, Labels]]:
        """Key, route and labels of each group that an alert belongs to."""
        for route in routes_for(self._config.route, dict(alert.labels)):
            labels = group_labels(route, alert.labels)
            yield f"{route.receiver} {group_key(route, labels)}", route, labels

    def _sort(self, now_ns: int) -> dict[str, list[Alert]]:
        """Members by group; groups that are missing are made."""
        members: dict[str, list[Alert]] = {}
        groups = dict(self.groups)
        for alert in self._intake.all():
            for key, route, labels in self._places(alert):
                if key not in groups and not alert.resolved(now_ns):
                    wait_ns = int(route.group_wait_s * NS)
                    over = alert.starts_ns + wait_ns <= now_ns  # the wait is over already: tell at once
                    groups[key] = Group(key, route, labels, now_ns if over else now_ns + wait_ns)
                if key in groups:
                    members.setdefault(key, []).append(alert)
        self.groups = groups
        return members

    def _send(self, notification: Notification) -> None:
        try:
            passing: Notification | None = notification
            for stage in self._stages:
                passing = stage.run(passing) if passing else None
        except Exception:
            log.exception("cannot tell %s; it is tried again after its interval", notification.group.key)
        finally:
            notification.group.busy = False

    def to_json(self) -> dict[str, Any]:
        """What each receiver has heard, for the state file."""
        return {g.key: {"toldNs": g.told_ns, "told": g.told, "dueNs": g.due_ns} for g in self.groups.values()}

    def restore(self, saved: Mapping[str, Any], now_ns: int) -> None:
        """Take back what `to_json` gave for the groups that the restored alerts still form."""
        self._sort(now_ns)
        for key, value in saved.items():
            if key in self.groups:
                group = self.groups[key]
                group.told, group.told_ns, group.due_ns = dict(value["told"]), value["toldNs"], value["dueNs"]
