"""Rules through time on a virtual clock: pending, firing, kept firing, resolved; errors leave alerts alone."""

from collections.abc import Sequence

import pytest
import yaml

from obs.alertmanager.alert import Alert, State
from obs.alertmanager.rules.manager import Manager
from obs.alertmanager.rules.model import parse_groups
from obs.errors import ConfigError, QueryError
from obs.model.batch import Batch
from obs.model.labels import make_labels
from obs.model.ports import VectorSample

S = 1_000_000_000
RULES = """
groups:
  - name: shop
    interval: 10s
    rules:
      - record: job:errors:rate
        expr: errors
        labels: {team: web}
      - alert: Errors
        expr: errors > 0
        for: 20s
        keep_firing_for: 15s
        labels: {severity: page}
        annotations: {summary: "{{ $labels.job }} has {{ $value }}"}
"""


class Scripted:
    """An evaluator that answers what the test last set."""

    def __init__(self) -> None:
        self.vector: Sequence[VectorSample] = []
        self.error: str = ""
        self.asked: list[int] = []

    def instant(self, query: str, t_ms: int) -> Sequence[VectorSample]:
        self.asked.append(t_ms)
        if self.error:
            raise QueryError(self.error)
        return self.vector


class World:
    """A manager on a virtual clock, with everything it gave out."""

    def __init__(self, rules: str = RULES) -> None:
        self.evaluator = Scripted()
        self.batches: list[Batch] = []
        self.alerts: dict[str, Alert] = {}
        self.manager = Manager({"promql": self.evaluator}, self.batches.append, self.take, "http://obs")
        self.manager.set_groups(parse_groups(yaml.safe_load(rules), "shop.yml"), 0)
        self.now_ns = self.manager.groups[0].due_ns

    def take(self, alerts: Sequence[Alert]) -> None:
        self.alerts.update({a.fingerprint: a for a in alerts})

    def errors(self, value: float | None) -> None:
        labels = make_labels({"__name__": "errors", "job": "cart"})
        self.evaluator.vector = [] if value is None else [VectorSample(labels, 0, value)]

    def step(self) -> State:
        self.manager.tick(self.now_ns)
        self.now_ns += 10 * S
        rule = self.manager.groups[0].alerting[1]
        assert rule is not None
        return rule.state


def test_an_alert_is_pending_then_firing_then_kept_then_resolved() -> None:
    world = World()
    world.errors(3)
    assert [world.step() for _ in range(3)] == [State.PENDING, State.PENDING, State.FIRING]
    (alert,) = world.alerts.values()
    assert alert.ends_ns > world.now_ns
    assert dict(alert.annotations) == {"summary": "cart has 3"}
    world.errors(None)
    assert [world.step() for _ in range(3)] == [State.FIRING, State.FIRING, State.INACTIVE]
    (alert,) = world.alerts.values()
    assert alert.resolved(world.now_ns)


def test_a_pending_element_that_goes_is_forgotten() -> None:
    world = World()
    world.errors(1)
    assert world.step() is State.PENDING
    world.errors(None)
    assert world.step() is State.INACTIVE
    assert not world.alerts


def test_an_evaluation_error_resolves_nothing() -> None:
    world = World()
    world.errors(1)
    for _ in range(3):
        world.step()
    world.evaluator.error = "the store is away"
    assert [world.step() for _ in range(5)] == [State.FIRING] * 5
    assert world.manager.groups[0].health[1].error == "the store is away"


def test_recorded_series_carry_the_rule_labels() -> None:
    world = World()
    world.errors(4)
    world.step()
    recorded = world.batches[0].tables["series"].column("labels").to_pylist()
    assert [dict(pairs) for pairs in recorded] == [{"__name__": "job:errors:rate", "job": "cart", "team": "web"}]
    names = {dict(pairs)["__name__"] for pairs in world.batches[1].tables["series"].column("labels").to_pylist()}
    assert names == {"ALERTS", "ALERTS_FOR_STATE"}


def test_missed_slots_are_counted_and_the_last_one_is_evaluated() -> None:
    world = World()
    world.step()
    world.now_ns += 45 * S
    world.manager.tick(world.now_ns)
    state = world.manager.groups[0]
    assert state.missed == 4
    assert state.due_ns - world.now_ns == 5 * S


def test_state_comes_back_after_a_restart() -> None:
    before, after = World(), World()
    before.errors(1)
    for _ in range(3):
        before.step()
    after.manager.restore(before.manager.to_json())
    after.now_ns = before.now_ns
    after.errors(1)
    assert after.step() is State.FIRING


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("groups: [{name: a, rules: [{record: x}]}]", "groups[0].rules[0].expr"),
        ("groups: [{name: a, rules: [{record: x, alert: y, expr: z}]}]", "groups[0].rules[0]"),
        ("groups: [{name: a, intervall: 3s}]", "groups[0].intervall"),
        ("groups: [{name: a, interval: soon}]", "groups[0].interval"),
        ("groups: [{name: a}, {name: a}]", "groups"),
        ("groups: 3", "groups"),
        ("[]", "the file"),
    ],
)
def test_faulty_files_name_the_place(text: str, place: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_groups(yaml.safe_load(text), "bad.yml")
    assert str(error.value).startswith(place + ":")
