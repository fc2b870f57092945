"""One group at one time: its rules in order, queries in, samples and alerts out, series that vanished marked stale."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from obs.alertmanager.alert import Alert
from obs.alertmanager.limits import OUTAGE_S, RESEND_S, RESOLVED_AFTER_INTERVALS
from obs.alertmanager.rules.alerting import NS, AlertingRule, Sample
from obs.alertmanager.rules.model import Rule, RuleGroup
from obs.alertmanager.rules.recording import record
from obs.alertmanager.template.expand import Place
from obs.errors import ObsError
from obs.model.batch import Batch
from obs.model.build import metrics_batch
from obs.model.labels import Labels
from obs.model.ports import Evaluator
from obs.model.stale import STALE

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
    due_ns: int
    missed: int = 0
    evaluated_ns: int = 0
    running: bool = False
    health: list[Health] = field(default_factory=list)
    alerting: list[AlertingRule | None] = field(default_factory=list)
    written: list[set[Labels]] = field(default_factory=list)  # per rule: the series of its last evaluation

    @classmethod
    def fresh(cls, group: RuleGroup, due_ns: int) -> GroupState:
        """A group that was never evaluated."""
        return cls(
            group,
            due_ns,
            health=[Health() for _ in group.rules],
            alerting=[AlertingRule(r) if r.alert else None for r in group.rules],
            written=[set() for _ in group.rules],
        )

    def to_json(self) -> dict[str, Any]:
        """Active alerts by rule, for the state file."""
        rules = [{"rule": _identity(a.rule), "active": a.to_json()} for a in self.alerting if a]
        return {"evaluatedNs": self.evaluated_ns, "rules": rules}

    def restore(self, saved: Mapping[str, Any], now_ns: int) -> None:
        """Take back what `to_json` gave, for the rules that are still there; time that nobody watched counts as none.

        What was pending before an outage longer than OUTAGE_S is forgotten.
        """
        away_ns = max(now_ns - saved["evaluatedNs"], 0)
        for entry in saved["rules"]:
            for i, alerting in enumerate(self.alerting):
                if alerting and _identity(alerting.rule) == entry["rule"]:
                    alerting.restore(entry["active"], away_ns, away_ns > OUTAGE_S * NS)
                    self.written[i] = {labels for labels, _, _ in alerting.series(0)}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What every group's evaluation needs. `store` takes a metrics batch, `notify` the alerts of one rule."""

    evaluators: Mapping[str, Evaluator]
    store: Callable[[Batch], None]
    notify: Callable[[Sequence[Alert]], None]
    external_url: str
    external_labels: Callable[[], Mapping[str, str]] = dict

    def run(self, state: GroupState, at_ns: int) -> None:
        """Evaluate a group's rules in order; one that fails leaves its alerts and series as they were."""
        t_ms = at_ns // 1_000_000 - int(state.group.query_offset_s * 1000)
        for i, rule in enumerate(state.group.rules):
            began = time.perf_counter()
            error = ""
            try:
                self._rule(state, i, rule, at_ns, t_ms)
            except ObsError as e:
                error = str(e)
                log.warning("rule %s of group %s: %s", rule.name, state.group.name, e)
            except Exception as e:
                error = f"{type(e).__name__}: {e}"
                log.exception("rule %s of group %s failed; it is tried again", rule.name, state.group.name)
            state.health[i] = Health(at_ns, time.perf_counter() - began, error)
        state.evaluated_ns = at_ns

    def _rule(self, state: GroupState, i: int, rule: Rule, at_ns: int, t_ms: int) -> None:
        evaluator = self.evaluators[state.group.language]
        vector = evaluator.instant(rule.expr, t_ms)
        alerting = state.alerting[i]
        if alerting is None:
            samples: list[Sample] = record(rule, vector, t_ms, state.group.limit)
        else:
            place = Place(lambda query: evaluator.instant(query, t_ms), self.external_url, self.external_labels())
            alerting.update(vector, at_ns, place, state.group.limit)
            samples = alerting.series(t_ms)
            self.tell(state, alerting, at_ns)
        self._write(samples, state.written[i], t_ms)
        state.written[i] = {labels for labels, _, _ in samples}

    def tell(self, state: GroupState, alerting: AlertingRule, now_ns: int) -> None:
        """Hand on a rule's alerts, to be believed until some evaluations more could have confirmed them."""
        valid_ns = int(RESOLVED_AFTER_INTERVALS * max(state.group.interval_s, RESEND_S) * NS)
        url = f"{self.external_url}/ui/metrics?q={quote(alerting.rule.expr, safe='')}"
        self.notify(alerting.alerts(now_ns, valid_ns, url))

    def end(self, series: set[Labels], t_ms: int) -> None:
        """Mark series as ended: their rule is gone."""
        try:
            self._write([], series, t_ms)
        except ObsError as e:
            log.warning("cannot end %d series of rules that are gone: %s", len(series), e)

    def _write(self, samples: Sequence[Sample], before: set[Labels], t_ms: int) -> None:
        now = {labels for labels, _, _ in samples}
        rows = [*samples, *((labels, t_ms, STALE) for labels in sorted(before - now))]
        if rows:
            self.store(metrics_batch(rows))


def _identity(rule: Rule) -> list[Any]:
    """What tells a rule from others of its group, across restarts."""
    return [rule.name, rule.expr, dict(rule.labels)]
