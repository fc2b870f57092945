"""From the intake to a real webhook on a virtual clock: routes, group timers, repeats, resolves, retries, restarts."""

from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
from web_hook import Hook, listening

from obs.alertmanager.alert import Alert
from obs.alertmanager.config import parse
from obs.alertmanager.group import Dispatcher, Stage
from obs.alertmanager.inhibit import Inhibitor
from obs.alertmanager.intake import Intake
from obs.alertmanager.silence import Silence, Silences
from obs.alertmanager.stages import default_stages
from obs.alertmanager.state import StateFile
from obs.errors import ConfigError, UserError
from obs.model.labels import Matcher, MatchOp, make_labels

S = 1_000_000_000


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listening() as found:
        yield found


class Pipe:
    """Intake and dispatcher with one route to the hook."""

    def __init__(self, hook: Hook, /, **route: Any) -> None:
        top = {key: route.pop(key) for key in ("inhibit_rules",) if key in route}
        options = route.pop("hook", {})
        values = {
            "route": {
                "receiver": "hook",
                "group_by": ["alertname"],
                "group_wait": "10s",
                "group_interval": "1m",
                **route,
            },
            "receivers": [{"name": "hook", "webhook_configs": [{"url": hook.url, **options}]}, {"name": "void"}],
            **top,
        }
        self.values = values
        self.config = parse(values)
        self.intake = Intake()
        self.silences = Silences()
        self.dispatcher = Dispatcher(self.config, self.intake, self.stages())

    def stages(self) -> Sequence[Stage]:
        inhibitor = Inhibitor(self.config.inhibit_rules, self.intake)
        return default_stages(self.config.receivers, inhibitor, self.silences, "http://obs")

    def route_by(self, **route: Any) -> None:
        self.config = parse({**self.values, "route": {**self.values["route"], **route}})
        self.dispatcher.route_by(self.config, self.stages())

    def fire(self, at_s: int, until_s: int = 10**6, name: str = "Errors", **labels: str) -> None:
        found = make_labels({"alertname": name, **labels})
        self.intake.take([Alert(found, (), at_s * S, until_s * S, at_s * S)])

    def run(self, to_s: int, from_s: int = 0) -> None:
        for t in range(from_s, to_s + 1):
            wait(self.dispatcher.tick(t * S))


def test_alerts_of_a_group_go_out_together_after_the_wait(hook: Hook) -> None:
    pipe = Pipe(hook)
    pipe.fire(0, job="a")
    pipe.fire(3, job="b")
    pipe.run(9)
    assert hook.bodies == []
    pipe.run(10, 10)
    (body,) = hook.bodies
    assert body["version"] == "4"
    assert body["status"] == "firing"
    assert body["groupLabels"] == {"alertname": "Errors"}
    assert body["commonLabels"] == {"alertname": "Errors"}
    assert [a["labels"]["job"] for a in body["alerts"]] == ["a", "b"]
    assert body["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert len(body["alerts"][0]["fingerprint"]) == 16


def test_groups_of_another_routing_know_what_they_told(hook: Hook) -> None:
    pipe = Pipe(hook)
    pipe.fire(0, job="a")
    pipe.fire(0, name="Slow", job="a")
    pipe.run(10)
    assert len(hook.bodies) == 2
    pipe.route_by(repeat_interval="100s", routes=[{"matchers": ["alertname=Slow"], "receiver": "void"}])
    pipe.run(70, 11)
    assert len(hook.bodies) == 2  # told already, as the group still stands
    pipe.run(130, 71)
    assert [b["groupLabels"] for b in hook.bodies[2:]] == [{"alertname": "Errors"}]  # by the new interval
    assert {g.route.receiver for g in pipe.dispatcher.groups.values()} == {"hook", "void"}
    pipe.route_by(group_by=["job"])
    pipe.run(131, 131)
    assert [(b["groupLabels"], len(b["alerts"])) for b in hook.bodies[3:]] == [({"job": "a"}, 2)]  # another group


def test_groups_and_alerts_are_named_as_alertmanager_names_them(hook: Hook) -> None:
    """The texts are what Alertmanager 0.25 sent for this configuration and these alerts."""
    routes = [
        {"matchers": ['severity="page"', 'team=~"a|b"'], "group_by": ["..."], "continue": True},
        {"matchers": ['severity="page"']},
    ]
    pipe = Pipe(hook, group_by=["alertname", "job"], routes=routes)
    pipe.fire(0, name="X", job="j", severity="page", team="a")
    pipe.fire(0, name="Y", job='j "q" é')
    pipe.run(10)
    assert {(b["groupKey"], b["alerts"][0]["fingerprint"]) for b in hook.bodies} == {
        ('{}:{alertname="Y", job="j \\"q\\" é"}', "06a919708a31edd3"),
        ('{}/{severity="page"}:{alertname="X", job="j"}', "deaa65aeef972ad9"),
        (
            '{}/{severity="page",team=~"a|b"}:{alertname="X", job="j", severity="page", team="a"}',
            "deaa65aeef972ad9",
        ),
    }


def test_nothing_is_repeated_before_the_repeat_interval(hook: Hook) -> None:
    pipe = Pipe(hook, repeat_interval="5m")
    pipe.fire(0)
    pipe.run(300)
    assert len(hook.bodies) == 1
    pipe.run(400, 301)
    assert len(hook.bodies) == 2


def test_a_resolved_alert_is_told_once(hook: Hook) -> None:
    pipe = Pipe(hook)
    pipe.fire(0, until_s=30)
    pipe.run(500)
    assert [b["status"] for b in hook.bodies] == ["firing", "resolved"]
    assert hook.bodies[1]["alerts"][0]["status"] == "resolved"


def test_a_failing_webhook_is_tried_again_with_growing_waits(hook: Hook) -> None:
    pipe = Pipe(hook)
    hook.status = 503
    pipe.fire(0)
    pipe.run(12)
    group = next(iter(pipe.dispatcher.groups.values()))
    assert group.failures == 2
    hook.status = 200
    pipe.run(20, 13)
    assert len(hook.bodies) == 1
    assert group.failures == 0


def test_a_refusal_is_not_repeated_before_the_group_interval(hook: Hook) -> None:
    pipe = Pipe(hook)
    hook.status = 400
    pipe.fire(0)
    pipe.run(69)
    assert hook.asked == 1
    hook.status = 200
    pipe.run(70, 70)
    assert len(hook.bodies) == 1


@pytest.mark.parametrize(("status", "answered_again"), [(429, 35), (503, 35)])
def test_a_webhook_is_left_alone_as_long_as_it_asks(hook: Hook, status: int, answered_again: int) -> None:
    pipe = Pipe(hook)
    hook.status, hook.retry_after = status, "25"
    pipe.fire(0)
    pipe.run(answered_again - 1)
    assert hook.asked == 1
    pipe.run(answered_again, answered_again)
    assert hook.asked == 2


def test_a_slow_webhook_holds_up_no_other_group(hook: Hook) -> None:
    pipe = Pipe(hook)
    hook.open.clear()
    pipe.fire(0, name="Slow")
    slow = pipe.dispatcher.tick(0), pipe.dispatcher.tick(10 * S)
    pipe.fire(11, name="Other")
    started = [n for t in range(11, 30) for n in pipe.dispatcher.tick(t * S)]
    assert [len(s) for s in slow] == [0, 1]
    assert len(started) == 1
    hook.open.set()
    wait([*slow[1], *started])
    assert sorted(b["groupLabels"]["alertname"] for b in hook.bodies) == ["Other", "Slow"]


def test_a_receiver_of_no_resolved_alerts_hears_nothing_when_one_of_two_ends(hook: Hook) -> None:
    pipe = Pipe(hook, hook={"send_resolved": False})
    pipe.fire(0, job="a")
    pipe.fire(0, until_s=30, job="b")
    pipe.run(200)
    assert [len(b["alerts"]) for b in hook.bodies] == [2]


def silence(pipe: Pipe, until_s: int, now_s: int = 0, **labels: str) -> str:
    matchers = tuple(Matcher(k, MatchOp.EQ, v) for k, v in labels.items())
    return pipe.silences.put(Silence("", matchers, now_s * S, until_s * S, now_s * S, "me", ""), now_s * S)


def test_silenced_alerts_are_told_when_the_silence_ends(hook: Hook) -> None:
    pipe = Pipe(hook)
    silence(pipe, 100, job="a")
    pipe.fire(0, job="a")
    pipe.fire(0, job="b")
    pipe.run(99)
    assert [[a["labels"]["job"] for a in b["alerts"]] for b in hook.bodies] == [["b"]]
    pipe.run(130, 100)
    assert [a["labels"]["job"] for a in hook.bodies[1]["alerts"]] == ["a", "b"]


def test_a_silence_of_what_was_told_resolves_nothing(hook: Hook) -> None:
    pipe = Pipe(hook)
    pipe.fire(0)
    pipe.run(20)
    silence(pipe, 500, now_s=20, alertname="Errors")
    pipe.run(400, 21)
    assert [b["status"] for b in hook.bodies] == ["firing"]


def test_silences_are_changed_and_ended_by_id() -> None:
    held = Silences()
    by_job = (Matcher("job", MatchOp.EQ, "a"),)
    first = held.put(Silence("", by_job, 0, 10, 0, "me", "one"), 0)
    assert held.put(Silence(first, by_job, 0, 20, 5, "me", "longer"), 5) == first
    second = held.put(Silence(first, (Matcher("job", MatchOp.RE, "b+"),), 0, 20, 6, "me", "other"), 6)
    assert second != first
    assert [held.get(i).state(7) for i in (first, second) if held.get(i)] == ["expired", "active"]  # type: ignore[union-attr]
    assert held.expire(second, 8)
    assert not held.expire("unknown", 8)
    again = Silences()
    again.restore(held.to_json())
    assert list(again.all()) == list(held.all())
    for faulty in (
        Silence("", (), 0, 9, 0, "", ""),
        Silence("", by_job, 5, 5, 0, "", ""),
        Silence("x", by_job, 0, 9, 0, "", ""),
    ):
        with pytest.raises(UserError):
            held.put(faulty, 0)


def test_an_alert_is_not_told_while_another_explains_it(hook: Hook) -> None:
    rule = {"source_matchers": ['severity="page"'], "target_matchers": ['severity=~"page|info"'], "equal": ["job"]}
    pipe = Pipe(hook, inhibit_rules=[rule], group_by=["..."])
    pipe.fire(0, until_s=50, severity="page", job="a")
    pipe.fire(0, severity="info", job="a")
    pipe.fire(0, severity="info", job="b")
    pipe.run(45)
    assert told(hook) == [("firing", "info", "b"), ("firing", "page", "a")]
    hook.bodies.clear()
    pipe.run(140, 46)
    assert told(hook) == [("firing", "info", "a"), ("resolved", "page", "a")]


def told(hook: Hook) -> list[tuple[str, str, str]]:
    """Status, severity and job of the first alert of each notification."""
    firsts = [b["alerts"][0] for b in hook.bodies]
    return sorted((a["status"], a["labels"]["severity"], a["labels"]["job"]) for a in firsts)


def test_routes_send_to_the_deepest_match(hook: Hook) -> None:
    pipe = Pipe(hook, receiver="void", routes=[{"matchers": ['severity=~"page|ticket"'], "receiver": "hook"}])
    pipe.fire(0, severity="page")
    pipe.fire(0, name="Other", severity="info")
    pipe.run(20)
    assert [b["groupLabels"] for b in hook.bodies] == [{"alertname": "Errors"}]


def test_what_was_told_survives_a_restart(hook: Hook, tmp_path: Path) -> None:
    pipe = Pipe(hook)
    pipe.fire(0)
    pipe.run(20)
    file = StateFile(tmp_path)
    file.save({"alerts": pipe.intake.to_json(), "groups": pipe.dispatcher.to_json()})
    again, saved = Pipe(hook), file.load()
    again.intake.restore(saved["alerts"])
    again.dispatcher.restore(saved["groups"], 21 * S)
    again.run(200, 21)
    assert len(hook.bodies) == 1


def test_damaged_state_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    assert StateFile(tmp_path).load() == {}
    assert (tmp_path / "state.damaged").exists()


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"route": {"receiver": "x"}, "receivers": []}, "alerting.route.receiver"),
        ({"rout": {}}, "alerting.rout"),
        ({"route": {"receiver": "a", "matchers": ["=~"]}, "receivers": [{"name": "a"}]}, "alerting.route.matchers"),
        ({"route": {"receiver": "a"}, "receivers": [{"name": "a", "webhook_configs": [{"url": "x"}]}]}, "alerting.rec"),
        ({"time_intervals": [{}], "route": {"receiver": "a"}}, "alerting.time_intervals"),
        ({"inhibit_rules": [{"x": 1}], "route": {"receiver": "a"}, "receivers": [{"name": "a"}]}, "alerting.inhibit"),
    ],
)
def test_faulty_configuration_names_the_place(values: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(values)
    assert str(error.value).startswith(place)
