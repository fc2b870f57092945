"""Groups and their timers: which group is to be told about now, and the passage through the stages.

`tick(now_ns)` flushes the groups that are due; the stages decide whether anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from obs.alertmanager.alert import Alert
from obs.alertmanager.config import AlertConfig, Route
from obs.alertmanager.intake import Intake
from obs.alertmanager.route import group_key, group_labels, routes_for
from obs.model.labels import Labels

NS = 1_000_000_000
SENDERS = 8
"""Groups told at one time: more than a slow receiver or two can hold up."""


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
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="groups")

    def tick(self, now_ns: int) -> bool:
        """Flush what is due; True if anything was."""
        members = self._sort(now_ns)
        due = [g for g in self.groups.values() if g.due_ns <= now_ns]
        for group in due:
            group.due_ns = now_ns + int(group.route.group_interval_s * NS)
        going = [Notification(group, members.get(group.key, []), now_ns) for group in due]
        list(self._senders.map(self._send, going))  # side by side: a slow receiver holds up its own group
        for key in [k for k, g in self.groups.items() if k not in members and not g.told]:
            del self.groups[key]
        return bool(due)

    def members(self, now_ns: int) -> Mapping[str, Sequence[Alert]]:
        """Group key → alerts, as of now."""
        return self._sort(now_ns)

    def _sort(self, now_ns: int) -> dict[str, list[Alert]]:
        members: dict[str, list[Alert]] = {}
        for alert in self._intake.all():
            for route in routes_for(self._config.route, dict(alert.labels)):
                labels = group_labels(route, alert.labels)
                key = f"{route.receiver} {group_key(route, labels)}"
                group = self.groups.get(key)
                if group is None and not alert.resolved(now_ns):
                    wait_ns = int(route.group_wait_s * NS)
                    started = alert.starts_ns + wait_ns <= now_ns  # the wait is over already: tell at once
                    group = self.groups[key] = Group(key, route, labels, now_ns if started else now_ns + wait_ns)
                if group is not None:
                    group.route = route
                    members.setdefault(key, []).append(alert)
        return members

    def _send(self, notification: Notification) -> None:
        passing: Notification | None = notification
        for stage in self._stages:
            if passing is None:
                return
            passing = stage.run(passing)

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
