"""Inhibition: an alert is not told while another one explains it.

Source: prometheus.io/docs/alerting/latest/configuration, section "inhibit_rule".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from obs.alertmanager.alert import Alert
from obs.alertmanager.config import InhibitRule
from obs.alertmanager.intake import Intake
from obs.model.labels import Matcher


class Inhibitor:
    """Applies the rules to the alerts that fire now."""

    def __init__(self, rules: Sequence[InhibitRule], intake: Intake) -> None:
        self._rules = rules
        self._intake = intake

    def inhibited_by(self, alert: Alert, now_ns: int) -> Sequence[str]:
        """The fingerprints of the alerts that inhibit this one, the first of each rule."""
        labels = dict(alert.labels)
        rules = [r for r in self._rules if matches(r.target, labels)]
        if not rules:
            return ()
        firing = [a for a in self._intake.all() if not a.resolved(now_ns)]
        sources = (_source(rule, labels, firing) for rule in rules)
        return tuple(dict.fromkeys(s.fingerprint for s in sources if s))


def matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy every matcher."""
    return all(m.matches(labels.get(m.name, "")) for m in matchers)


def _source(rule: InhibitRule, target: Mapping[str, str], firing: Iterable[Alert]) -> Alert | None:
    """An alert that inhibits `target`. What is both source and target is not inhibited by its like, nor by itself."""
    two_sided = matches(rule.source, target)
    for alert in firing:
        labels = dict(alert.labels)
        explains = matches(rule.source, labels) and not (two_sided and matches(rule.target, labels))
        if explains and all(labels.get(name, "") == target.get(name, "") for name in rule.equal):
            return alert
    return None
