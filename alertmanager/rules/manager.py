"""Which rule group is due, and its evaluation: queries in, samples and alerts out, state kept.

`tick(now_ns)` evaluates what is due at its due time; a caller's thread (or a test's virtual clock) drives it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from obs.alertmanager.alert import Alert
from obs.alertmanager.limits import RESEND_S, RESOLVED_AFTER_INTERVALS
from obs.alertmanager.rules.alerting import NS, AlertingRule, Sample
from obs.alertmanager.rules.model import Rule, RuleGroup
from obs.alertmanager.rules.recording import record
from obs.errors import ObsError
from obs.model.batch import Batch
from obs.model.build import metrics_batch
from obs.model.labels import labels_id
from obs.model.ports import Evaluator

log = logging.getLogger("obs.rules")


@dataclass(slots=True)
class Health:
    """How a rule's last evaluation went."""

    evaluated_ns: int = 0
    seconds: float = 0.0
    error: str = ""


@dataclass(slots=True)
class GroupState:
    """A group, when it is next due, and its rules' states, in the rules' order."""

    group: RuleGroup
    due_ns: int = 0
    missed: int = 0
    health: list[Health] = field(default_factory=list)
    alerting: list[AlertingRule | None] = field(default_factory=list)


class Manager:
    """Evaluates rule groups. `store` takes a metrics batch, `notify` the alerts of one rule."""

    def __init__(
        self,
        evaluators: Mapping[str, Evaluator],
        store: Callable[[Batch], None],
        notify: Callable[[Sequence[Alert]], None],
        external_url: str,
    ) -> None:
        self._evaluators = evaluators
        self._store = store
        self._notify = notify
        self._external_url = external_url
        self._groups: dict[str, GroupState] = {}

    @property
    def groups(self) -> Sequence[GroupState]:
        """All groups with their states, in the files' order."""
        return list(self._groups.values())

    def set_groups(self, groups: Sequence[RuleGroup], now_ns: int) -> None:
        """Replace the groups; a rule that stays in its place keeps its alerts."""
        old, self._groups = self._groups, {}
        for group in groups:
            state = GroupState(group, _first_due(group, now_ns))
            state.health = [Health() for _ in group.rules]
            state.alerting = [AlertingRule(r) if r.alert else None for r in group.rules]
            before = old.get(group.key)
            for rule in filter(None, state.alerting):
                twin = _same_rule(before, rule.rule) if before else None
                if twin is not None:
                    rule.active = twin.active
            self._groups[group.key] = state

    def tick(self, now_ns: int) -> bool:
        """Evaluate every group that is due; True if any was."""
        due = [s for s in self._groups.values() if s.due_ns <= now_ns]
        for state in sorted(due, key=lambda s: s.due_ns):
            interval_ns = int(state.group.interval_s * NS)
            late = (now_ns - state.due_ns) // interval_ns
            state.missed += late
            at_ns = state.due_ns + late * interval_ns
            self._evaluate(state, at_ns)
            state.due_ns = at_ns + interval_ns
        return bool(due)

    def _evaluate(self, state: GroupState, at_ns: int) -> None:
        t_ms = at_ns // 1_000_000 - int(state.group.query_offset_s * 1000)
        for i, rule in enumerate(state.group.rules):
            began = time.perf_counter()
            error = ""
            try:
                self._evaluate_rule(state, i, rule, at_ns, t_ms)
            except ObsError as e:
                error = str(e)
                log.warning("rule %s of group %s: %s", rule.name, state.group.name, e)
            state.health[i] = Health(at_ns, time.perf_counter() - began, error)

    def _evaluate_rule(self, state: GroupState, i: int, rule: Rule, at_ns: int, t_ms: int) -> None:
        vector = self._evaluators[state.group.language].instant(rule.expr, t_ms)
        alerting = state.alerting[i]
        if alerting is None:
            samples: list[Sample] = record(rule, vector, t_ms)
        else:
            alerting.update(vector, at_ns, state.group.limit)
            samples = alerting.series(t_ms)
            valid_ns = int(RESOLVED_AFTER_INTERVALS * max(state.group.interval_s, RESEND_S) * NS)
            url = f"{self._external_url}/metrics?q={quote(rule.expr)}"
            self._notify(alerting.alerts(at_ns, valid_ns, url))
        if samples:
            self._store(metrics_batch(samples))

    def to_json(self) -> dict[str, Any]:
        """Active alerts by group and rule, for the state file."""
        return {
            key: [{"name": a.rule.name, "expr": a.rule.expr, "active": a.to_json()} for a in filter(None, s.alerting)]
            for key, s in self._groups.items()
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take back what `to_json` gave, for the rules that are still there."""
        for key, rules in saved.items():
            state = self._groups.get(key)
            for entry in rules if state else ():
                for alerting in filter(None, state.alerting if state else ()):
                    if (alerting.rule.name, alerting.rule.expr) == (entry["name"], entry["expr"]):
                        alerting.restore(entry["active"])


def _first_due(group: RuleGroup, now_ns: int) -> int:
    """The group's next slot: its own offset within the interval, so that groups do not all fall on one instant."""
    interval_ns = int(group.interval_s * NS)
    offset = labels_id((("group", group.key),)) % interval_ns
    return now_ns + (offset - now_ns) % interval_ns


def _same_rule(state: GroupState, rule: Rule) -> AlertingRule | None:
    return next((a for a in state.alerting if a and (a.rule.name, a.rule.expr) == (rule.name, rule.expr)), None)
