"""Which rule group is due, and that each is evaluated at its due time beside the others.

`tick(now_ns)` starts what is due; a caller's thread (or a test's virtual clock) drives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from obs.alertmanager.alert import Alert
from obs.alertmanager.limits import GROUPS_AT_ONCE
from obs.alertmanager.rules.alerting import NS
from obs.alertmanager.rules.evaluation import Evaluation, GroupState
from obs.alertmanager.rules.model import RuleGroup
from obs.alertmanager.workers import Workers
from obs.model.batch import Batch
from obs.model.labels import Labels, labels_id
from obs.model.ports import Evaluator


class Manager:
    """Evaluates rule groups. `store` takes a metrics batch, `notify` the alerts of one rule."""

    def __init__(
        self,
        evaluators: Mapping[str, Evaluator],
        store: Callable[[Batch], None],
        notify: Callable[[Sequence[Alert]], None],
        external_url: str,
        external_labels: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._evaluation = Evaluation(evaluators, store, notify, external_url, external_labels)
        self._groups: dict[str, GroupState] = {}
        self._workers = Workers(GROUPS_AT_ONCE, "rules")

    @property
    def groups(self) -> Sequence[GroupState]:
        """All groups with their states, by file and name."""
        return [self._groups[key] for key in sorted(self._groups)]

    def set_groups(self, groups: Sequence[RuleGroup], now_ns: int) -> None:
        """Replace the groups, once those that run have ended; rules that stay keep their alerts and series."""
        self._workers.settle()
        old, self._groups = self._groups, {g.key: GroupState.fresh(g, _first_due(g, now_ns)) for g in groups}
        for key, before in old.items():
            gone = _keep(before, self._groups.get(key))
            self._evaluation.end(gone, now_ns // 1_000_000)

    def tick(self, now_ns: int) -> Sequence[Future[None]]:
        """Start every group that is due and is not running; what was started."""
        due = [s for s in self._groups.values() if s.due_ns <= now_ns and not s.running]
        return [self._start(state, now_ns) for state in sorted(due, key=lambda s: s.due_ns)]

    def _start(self, state: GroupState, now_ns: int) -> Future[None]:
        interval_ns = int(state.group.interval_s * NS)
        late = (now_ns - state.due_ns) // interval_ns
        state.missed += late
        at_ns = state.due_ns + late * interval_ns
        state.due_ns = at_ns + interval_ns
        state.running = True
        return self._workers.submit(partial(self._evaluate, state, at_ns))

    def _evaluate(self, state: GroupState, at_ns: int) -> None:
        try:
            self._evaluation.run(state, at_ns)
        finally:
            state.running = False

    def close(self, timeout_s: float) -> None:
        """Start no more and wait a while for what runs."""
        self._workers.close(timeout_s)

    def to_json(self) -> dict[str, Any]:
        """Active alerts by group and rule, for the state file."""
        return {key: state.to_json() for key, state in self._groups.items()}

    def restore(self, saved: Mapping[str, Any], now_ns: int) -> None:
        """Take back what `to_json` gave, for the rules that are still there; what fired fires until evaluated."""
        for key, state in self._groups.items():
            if isinstance(saved.get(key), Mapping):
                state.restore(saved[key], now_ns)
                for alerting in filter(None, state.alerting):
                    self._evaluation.tell(state, alerting, now_ns)


def _keep(before: GroupState, after: GroupState | None) -> set[Labels]:
    """Hand a group's alerts and series on to its new self; the series of rules that it no longer has."""
    gone = set().union(*before.written)
    for i, rule in enumerate(after.group.rules if after else ()):
        for j, old in enumerate(before.group.rules):
            same = (rule.record, rule.alert, rule.expr, rule.labels) == (old.record, old.alert, old.expr, old.labels)
            if after and same:
                after.written[i] = before.written[j]
                gone -= before.written[j]
                alerting, twin = after.alerting[i], before.alerting[j]
                if alerting and twin:
                    alerting.active = twin.active
    return gone


def _first_due(group: RuleGroup, now_ns: int) -> int:
    """The group's next slot: its own offset within the interval, so that groups do not all fall on one instant."""
    interval_ns = int(group.interval_s * NS)
    offset = labels_id((("group", group.key),)) % interval_ns
    return now_ns + (offset - now_ns) % interval_ns
