"""The HTTP APIs of rules, alerts and silences, over a pipeline on a virtual clock."""

from collections.abc import Sequence
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from obs.alertmanager.api import router
from obs.alertmanager.service import AlertOptions, AlertService
from obs.errors import ConfigError
from obs.model.labels import make_labels
from obs.model.ports import VectorSample
from obs.tsdb.params import selector

S = 1_000_000_000
NOW_S = 1_800_000_000
RULES = """
groups:
  - name: shop
    interval: 10s
    rules:
      - {record: x, expr: a}
      - {alert: Errors, expr: a, labels: {severity: page}, keep_firing_for: 1m}
  - {name: bar, rules: [{alert: Other, expr: b, for: 1m}]}
"""


class FakeClock:
    """Time as the test sets it."""

    def __init__(self) -> None:
        self.ns = NOW_S * S

    def now_ns(self) -> int:
        return self.ns


class Answers:
    """Every query has one element, while `on`."""

    on = True

    def instant(self, query: str, t_ms: int) -> Sequence[VectorSample]:
        return [VectorSample(make_labels({"job": query}), t_ms, 25.0)] if self.on else []


class World:
    """A pipeline and a client of its API."""

    def __init__(self, folder: Path) -> None:
        (folder / "rules.yml").write_text(RULES)
        self.file = str(folder / "rules.yml")
        self.folder, self.clock, self.answers = folder, FakeClock(), Answers()
        self.start()

    def start(self) -> None:
        options = AlertOptions(self.folder / "alerts", [self.file], {}, "http://obs")
        self.service = AlertService(options, {"promql": self.answers}, lambda *_: None, lambda _: None, self.clock)
        app = FastAPI()
        app.include_router(router(self.service, partial(selector, parameter="match[]")))
        self.http = TestClient(app)

    def evaluate(self, after_s: int) -> None:
        self.clock.ns += after_s * S
        wait(self.service.manager.tick(self.clock.ns))

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def v2(self, path: str) -> Any:
        return self.get("/alertmanager/api/v2/" + path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.evaluate(60)
    return found


def test_rules_are_told_as_prometheus_tells_them(world: World) -> None:
    bar, shop = world.get("/api/v1/rules")["data"]["groups"]
    assert (bar["name"], shop["name"], shop["file"]) == ("bar", "shop", world.file)
    record, alert = shop["rules"]
    assert (record["name"], record["type"], record["health"]) == ("x", "recording", "ok")
    assert (alert["type"], alert["state"], alert["keepFiringFor"]) == ("alerting", "firing", 60)
    (active,) = alert["alerts"]
    assert active["labels"] == {"alertname": "Errors", "job": "a", "severity": "page"}
    assert (active["value"], active["state"]) == ("2.5e+01", "firing")
    assert "keepFiringSince" not in active
    assert bar["rules"][0]["alerts"][0]["state"] == "pending"
    world.answers.on = False
    world.evaluate(10)
    (kept,) = [a for a in world.get("/api/v1/alerts")["data"]["alerts"] if a["state"] == "firing"]
    assert kept["keepFiringSince"] > kept["activeAt"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Other", "x", "Errors"]),
        ("?type=alert", ["Other", "Errors"]),
        ("?type=record", ["x"]),
        ("?rule_name[]=Errors", ["Errors"]),
        ("?rule_group[]=bar", ["Other"]),
        ("?file[]=other.yml", []),
        ("?match[]={severity='page'}", ["Errors"]),
        ("?match[]={severity='page'}&match[]={team=~'b.*'}", ["Errors"]),
        ("?match[]={severity!='page',severity=~'.+'}", []),
    ],
)
def test_rules_are_chosen(world: World, query: str, names: list[str]) -> None:
    groups = world.get("/api/v1/rules" + query)["data"]["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"]] == names


def test_groups_are_told_in_pages(world: World) -> None:
    first = world.get("/api/v1/rules?group_limit=1")["data"]
    assert [group["name"] for group in first["groups"]] == ["bar"]
    token = first["groupNextToken"]
    assert world.get(f"/api/v1/rules?group_limit=1&group_next_token={token}")["data"].keys() == {"groups"}
    second = world.get(f"/api/v1/rules?group_limit=9&group_next_token={token}")["data"]
    assert [group["name"] for group in second["groups"]] == ["shop"]
    assert world.get("/api/v1/rules?group_limit=2")["data"].keys() == {"groups"}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("match[]={", 'invalid parameter "match[]": 1:2: parse error'),
        ("exclude_alerts=x", 'invalid parameter "exclude_alerts"'),
        ("group_limit=x", 'invalid parameter "group_limit": group_limit needs to be a valid number'),
        ("group_limit=0", 'invalid parameter "group_limit": group_limit needs to be greater than 0'),
        ("group_limit=-1", 'invalid parameter "group_limit": group_limit needs to be greater than 0'),
        ("group_next_token=x", 'invalid parameter "group_next_token": group_limit needs to be present'),
        ("group_limit=1&group_next_token=x", 'invalid parameter "group_next_token": invalid group_next_token'),
    ],
)
def test_parameters_that_cannot_be_read(world: World, query: str, error: str) -> None:
    answer = world.http.get(f"/api/v1/rules?{query}")
    assert (answer.status_code, answer.json()["errorType"]) == (400, "bad_data")
    assert answer.json()["error"].startswith(error)


def test_an_unknown_type_is_refused_and_alerts_may_be_left_out(world: World) -> None:
    answer = world.http.get("/api/v1/rules?type=all")
    assert (answer.status_code, answer.json()["errorType"]) == (400, "bad_data")
    groups = world.get("/api/v1/rules?exclude_alerts=true")["data"]["groups"]
    assert not any("alerts" in rule for group in groups for rule in group["rules"])


def post_silence(world: World, **changes: Any) -> Any:
    matcher = {"name": "alertname", "value": "Err.*", "isRegex": True, "isEqual": True}
    times = {"startsAt": "2020-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00.5Z"}
    body = {"matchers": [matcher], **times, "createdBy": "me", "comment": "why", **changes}
    return world.http.post("/alertmanager/api/v2/silences", json=body)


def test_a_silence_lives_through_a_restart_and_ends(world: World) -> None:
    silence_id = post_silence(world).json()["silenceID"]
    (alert,) = world.v2("alerts")
    assert alert["status"] == {"state": "suppressed", "silencedBy": [silence_id], "inhibitedBy": [], "mutedBy": []}
    world.start()
    (silence,) = world.v2("silences")
    assert (silence["id"], silence["status"], silence["comment"]) == (silence_id, {"state": "active"}, "why")
    assert silence["endsAt"] == "2100-01-01T00:00:00.500Z"
    assert silence["matchers"] == [{"name": "alertname", "value": "Err.*", "isRegex": True, "isEqual": True}]
    assert world.v2(f"silence/{silence_id}") == silence
    assert [s["id"] for s in world.v2('silences?filter=alertname="Err.*"')] == [silence_id]
    assert world.v2("silences?filter=alertname=other") == []
    assert world.v2("alerts?silenced=false") == []
    assert world.http.delete(f"/alertmanager/api/v2/silence/{silence_id}").status_code == 200
    assert world.v2(f"silence/{silence_id}")["status"] == {"state": "expired"}
    assert [a["status"]["state"] for a in world.v2("alerts?silenced=false")] == ["active"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"matchers": []}, 400),
        ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, 400),
        ({"matchers": [{"name": "a", "value": ".*", "isRegex": True}]}, 400),
        ({"matchers": 3}, 400),
        ({"endsAt": "2020-01-02T00:00:00Z"}, 400),
        ({"endsAt": "soon"}, 400),
        ({"id": "unknown"}, 404),
    ],
)
def test_a_faulty_silence_is_refused(world: World, changes: dict[str, Any], status: int) -> None:
    assert post_silence(world, **changes).status_code == status
    assert world.v2("silences") == []


def test_alerts_are_filtered_and_grouped(world: World) -> None:
    alerts = [{"labels": {"alertname": "Posted", "job": "b"}}]
    assert world.http.post("/alertmanager/api/v2/alerts", json=alerts).status_code == 200
    assert [a["labels"]["alertname"] for a in world.v2("alerts")] == ["Errors", "Posted"]
    assert [a["labels"]["job"] for a in world.v2("alerts?filter=alertname=Posted")] == ["b"]
    assert world.v2("alerts?receiver=other") == []
    assert world.v2("alerts?active=false") == []
    assert world.http.get("/alertmanager/api/v2/alerts?filter=%3D").status_code == 400
    assert world.http.get("/alertmanager/api/v2/alerts?receiver=(").status_code == 400
    wait(world.service.dispatcher.tick(world.clock.ns))
    (group,) = world.v2("alerts/groups?filter=job=b")
    assert (group["labels"], group["receiver"]) == ({}, {"name": "default"})
    assert [a["labels"]["alertname"] for a in group["alerts"]] == ["Posted"]


def test_a_rule_file_with_a_faulty_template_is_refused(world: World) -> None:
    good = Path(world.file).read_text()
    Path(world.file).write_text(good.replace("severity: page", 'severity: "{{ nope }}"'))
    with pytest.raises(ConfigError, match=r"shop\.Errors\.severity: cannot use template '\{\{ nope \}\}'"):
        world.service.reload()
