"""An alerting rule through time: each element is pending for its `for`, then firing, then resolved.

Pure but for the dictionary of active elements that it keeps; time comes as an argument.
Source: prometheus.io/docs/prometheus/latest/configuration/alerting_rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from obs.alertmanager.alert import Alert, State
from obs.alertmanager.limits import MAX_ALERTS_PER_RULE, RESOLVED_RETENTION_S
from obs.alertmanager.rules.model import Rule
from obs.alertmanager.template.expand import Place, expand
from obs.errors import UserError
from obs.model.labels import METRIC_NAME, Labels, make_labels
from obs.model.ports import VectorSample

Sample = tuple[Labels, int, float]
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Active:
    """One element of an alerting rule. Times in ns; `resolved_ns` and `kept_since_ns` 0: not."""

    labels: Labels
    annotations: Labels
    value: float
    state: State
    active_ns: int
    fired_ns: int = 0
    resolved_ns: int = 0
    kept_since_ns: int = 0


class AlertingRule:
    """Holds the active elements of one rule by their labels."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.active: dict[Labels, Active] = {}

    @property
    def state(self) -> State:
        """The worst state of any element."""
        states = {a.state for a in self.active.values()}
        return next((s for s in (State.FIRING, State.PENDING) if s in states), State.INACTIVE)

    def update(self, vector: Sequence[VectorSample], now_ns: int, place: Place, limit: int = 0) -> None:
        """Move every element on to `now_ns`. Raises: UserError; elements over the limit clear all, else all stay."""
        found = self._elements(vector, place)
        allowed = min(limit or MAX_ALERTS_PER_RULE, MAX_ALERTS_PER_RULE)
        if len(found) > allowed:
            self.active = {}
            raise UserError(
                f"cannot evaluate alert {self.rule.alert!r}: {len(found)} elements, over its limit {allowed}"
            )
        following = {labels: self._seen(labels, *found[labels], now_ns) for labels in found}
        for labels, old in self.active.items():
            if labels not in found and (kept := self._unseen(old, now_ns)) is not None:
                following[labels] = kept
        self.active = following

    def _elements(self, vector: Sequence[VectorSample], place: Place) -> dict[Labels, tuple[Labels, float]]:
        """Final labels → (annotations, value); templates are expanded here."""
        found: dict[Labels, tuple[Labels, float]] = {}
        for element in vector:
            seen = dict(element.labels)
            extra = {k: expand(v, seen, element.value, place) for k, v in self.rule.labels}
            labels = make_labels({**seen, METRIC_NAME: "", **extra, "alertname": self.rule.alert})
            if labels in found:
                raise UserError(
                    f"cannot evaluate alert {self.rule.alert!r}: two elements have the labels {dict(labels)}"
                )
            notes = make_labels({k: expand(v, seen, element.value, place) for k, v in self.rule.annotations})
            found[labels] = (notes, element.value)
        return found

    def _seen(self, labels: Labels, annotations: Labels, value: float, now_ns: int) -> Active:
        old = self.active.get(labels)
        if old is None or old.state is State.INACTIVE:
            old = Active(labels, annotations, value, State.PENDING, now_ns)
        fresh = replace(old, annotations=annotations, value=value, kept_since_ns=0)
        if fresh.state is State.PENDING and now_ns - fresh.active_ns >= self.rule.for_s * NS:
            return replace(fresh, state=State.FIRING, fired_ns=now_ns)
        return fresh

    def _unseen(self, old: Active, now_ns: int) -> Active | None:
        """What becomes of an element that the query no longer returns; None: forgotten."""
        if old.state is State.PENDING:
            return None
        if old.state is State.INACTIVE:
            return old if now_ns - old.resolved_ns <= RESOLVED_RETENTION_S * NS else None
        if self.rule.keep_firing_for_s:
            since = old.kept_since_ns or now_ns
            if now_ns - since < self.rule.keep_firing_for_s * NS:
                return replace(old, kept_since_ns=since)
        return replace(old, state=State.INACTIVE, resolved_ns=now_ns)

    def series(self, t_ms: int) -> list[Sample]:
        """The rule's ALERTS and ALERTS_FOR_STATE samples at `t_ms`."""
        samples: list[Sample] = []
        for a in self.active.values():
            if a.state is not State.INACTIVE:
                own = dict(a.labels)
                samples.append((make_labels({**own, METRIC_NAME: "ALERTS", "alertstate": a.state.value}), t_ms, 1.0))
                samples.append((make_labels({**own, METRIC_NAME: "ALERTS_FOR_STATE"}), t_ms, float(a.active_ns // NS)))
        return samples

    def alerts(self, now_ns: int, valid_for_ns: int, generator_url: str) -> list[Alert]:
        """For the intake: firing ones end `valid_for_ns` from now unless confirmed, resolved ones have ended."""
        return [
            Alert(
                a.labels,
                a.annotations,
                a.fired_ns,
                a.resolved_ns or now_ns + valid_for_ns,
                now_ns,
                generator_url,
            )
            for a in self.active.values()
            if a.state is not State.PENDING
        ]

    def to_json(self) -> list[dict[str, Any]]:
        """The active elements, for the state file."""
        return [
            {
                "labels": dict(a.labels),
                "annotations": dict(a.annotations),
                "value": a.value,
                "state": a.state.value,
                "times": [a.active_ns, a.fired_ns, a.resolved_ns, a.kept_since_ns],
            }
            for a in self.active.values()
        ]

    def restore(self, elements: Sequence[Mapping[str, Any]], away_ns: int, forget_pending: bool) -> None:
        """Take back what `to_json` gave; what is pending has waited for no part of the time away."""
        for e in elements:
            labels = make_labels(e["labels"])
            found = Active(labels, make_labels(e["annotations"]), e["value"], State(e["state"]), *e["times"])
            if found.state is not State.PENDING:
                self.active[labels] = found
            elif not forget_pending:
                self.active[labels] = replace(found, active_ns=found.active_ns + away_ns)
