"""From the intake to a real webhook on a virtual clock: routes, group timers, repeats, resolves, retries, restarts."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from obs.alertmanager.alert import Alert
from obs.alertmanager.config import parse
from obs.alertmanager.group import Dispatcher
from obs.alertmanager.intake import Intake
from obs.alertmanager.stages import default_stages
from obs.alertmanager.state import StateFile
from obs.errors import ConfigError
from obs.model.labels import make_labels

S = 1_000_000_000


class Hook:
    """A webhook that keeps what it was sent; `status` is what it answers."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if hook.status == 200:
                    hook.bodies.append(body)
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    yield found
    found.server.shutdown()
    found.server.server_close()


class Pipe:
    """Intake and dispatcher with one route to the hook."""

    def __init__(self, hook: Hook, **route: Any) -> None:
        values = {
            "route": {
                "receiver": "hook",
                "group_by": ["alertname"],
                "group_wait": "10s",
                "group_interval": "1m",
                **route,
            },
            "receivers": [{"name": "hook", "webhook_configs": [{"url": hook.url}]}, {"name": "void"}],
        }
        self.config = parse(values)
        self.intake = Intake()
        stages = default_stages(self.config.receivers, "http://obs")
        self.dispatcher = Dispatcher(self.config, self.intake, stages)

    def fire(self, at_s: int, until_s: int = 10**6, name: str = "Errors", **labels: str) -> None:
        found = make_labels({"alertname": name, **labels})
        self.intake.take([Alert(found, (), at_s * S, until_s * S, at_s * S)])

    def run(self, to_s: int, from_s: int = 0) -> None:
        for t in range(from_s, to_s + 1):
            self.dispatcher.tick(t * S)


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
        ({"inhibit_rules": [{}], "route": {"receiver": "a"}}, "alerting.inhibit_rules"),
    ],
)
def test_faulty_configuration_names_the_place(values: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(values)
    assert str(error.value).startswith(place)
