"""Rules through time on a virtual clock: pending, firing, kept firing, resolved; errors leave alerts alone."""

import struct
from collections.abc import Sequence
from concurrent.futures import wait
from threading import Event

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
        wait(self.manager.tick(self.now_ns))
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
    wait(world.manager.tick(world.now_ns))
    state = world.manager.groups[0]
    assert state.missed == 4
    assert state.due_ns - world.now_ns == 5 * S


def test_state_comes_back_after_a_restart() -> None:
    before, after = World(), World()
    before.errors(1)
    for _ in range(3):
        before.step()
    after.manager.restore(before.manager.to_json(), before.now_ns)
    after.now_ns = before.now_ns
    after.errors(1)
    assert after.step() is State.FIRING


@pytest.mark.parametrize(("away_s", "states"), [(600, "PFF"), (7200, "PPF")])
def test_time_away_is_no_part_of_the_time_pending(away_s: int, states: str) -> None:
    before, after = World(), World()
    before.errors(1)
    assert [before.step(), before.step()] == [State.PENDING, State.PENDING]
    after.now_ns = before.now_ns + away_s * S
    after.manager.restore(before.manager.to_json(), after.now_ns)
    after.manager.groups[0].due_ns = after.now_ns
    after.errors(1)
    assert "".join(after.step().name[0] for _ in states) == states


def test_what_fired_before_a_long_outage_fires_until_it_is_evaluated() -> None:
    before, after = World(), World()
    before.errors(1)
    for _ in range(3):
        before.step()
    now_ns = before.now_ns + 7200 * S
    after.manager.restore(before.manager.to_json(), now_ns)
    (alert,) = after.alerts.values()
    assert not alert.resolved(now_ns)


def test_rules_of_one_name_keep_their_own_alerts() -> None:
    rules = """
groups:
  - name: shop
    interval: 10s
    rules:
      - {record: x, expr: errors}
      - {alert: Errors, expr: errors, labels: {severity: page}}
      - {alert: Errors, expr: errors, labels: {severity: info}}
"""
    before, after = World(rules), World(rules)
    before.errors(1)
    before.step()
    after.manager.restore(before.manager.to_json(), before.now_ns)
    held = [[dict(labels)["severity"] for labels in a.active] for a in after.manager.groups[0].alerting if a]
    assert held == [["page"], ["info"]]


def samples(world: World) -> list[tuple[str, float | str]]:
    """Every sample written: the series's name and state, and its value."""
    found: list[tuple[str, float | str]] = []
    for batch in world.batches:
        series = batch.tables["series"].to_pylist()
        names = {s["series_id"]: dict(s["labels"]) for s in series}
        for row in batch.tables["samples"].to_pylist():
            labels = names[row["series_id"]]
            name = labels["__name__"] + ("/" + labels["alertstate"] if "alertstate" in labels else "")
            bits = struct.unpack("<Q", struct.pack("<d", row["value"]))[0]
            found.append((name, "stale" if bits == 0x7FF0000000000002 else row["value"]))
    world.batches.clear()
    return found


def test_series_that_vanish_are_marked_stale() -> None:
    world = World()
    world.errors(3)
    world.step()
    at_s = (world.now_ns - 10 * S) // S
    assert samples(world) == [("job:errors:rate", 3.0), ("ALERTS/pending", 1.0), ("ALERTS_FOR_STATE", at_s)]
    world.step()
    world.step()
    assert ("ALERTS/pending", "stale") in samples(world)
    world.evaluator.error = "the store is away"
    world.step()
    assert samples(world) == []
    world.evaluator.error = ""
    world.errors(None)
    for _ in range(3):
        world.step()
    ended = {name for name, value in samples(world) if value == "stale"}
    assert ended == {"job:errors:rate", "ALERTS/firing", "ALERTS_FOR_STATE"}
    world.step()
    assert samples(world) == []


def test_series_of_rules_that_are_gone_are_marked_stale() -> None:
    world = World()
    world.errors(3)
    world.step()
    samples(world)
    only_recorded = yaml.safe_load(RULES)
    del only_recorded["groups"][0]["rules"][1]
    world.manager.set_groups(parse_groups(only_recorded, "shop.yml"), world.now_ns)
    assert sorted(samples(world)) == [("ALERTS/pending", "stale"), ("ALERTS_FOR_STATE", "stale")]
    world.manager.set_groups([], world.now_ns)
    assert samples(world) == [("job:errors:rate", "stale")]


def test_a_slow_group_holds_up_no_other() -> None:
    other = RULES.replace("groups:\n", "").replace("name: shop", "name: other")
    world = World(RULES.replace("expr: errors\n", "expr: slow\n") + other)
    open_again, answer = Event(), world.evaluator.instant

    def instant(query: str, t_ms: int) -> Sequence[VectorSample]:
        if query == "slow":
            open_again.wait(10)
        return answer(query, t_ms)

    world.evaluator.instant = instant  # type: ignore[method-assign]
    slow, quick = sorted(world.manager.groups, key=lambda s: s.group.name, reverse=True)
    slow.due_ns = quick.due_ns = 0
    slow_one, quick_one = world.manager.tick(0)
    quick_one.result(10)
    assert not slow_one.done()
    (quick_again,) = world.manager.tick(10 * S)  # the slow one still runs
    quick_again.result(10)
    assert not slow_one.done()
    open_again.set()
    slow_one.result(10)
    wait(world.manager.tick(35 * S))
    assert (slow.missed, quick.missed) == (2, 1)


@pytest.mark.parametrize("kind", ["alert", "record"])
def test_more_elements_than_the_limit_are_an_error(kind: str) -> None:
    rule = "{alert: Errors, expr: errors}" if kind == "alert" else "{record: x, expr: errors}"
    world = World(f"groups: [{{name: a, limit: 1, interval: 10s, rules: [{rule}]}}]")
    world.evaluator.vector = [VectorSample(make_labels({"job": j}), 0, 1.0) for j in "ab"]
    wait(world.manager.tick(world.now_ns))
    assert "limit 1" in world.manager.groups[0].health[0].error
    assert not world.batches


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
