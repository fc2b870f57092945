"""Alerts on their way to other Alertmanagers: who is found, what is told when, and what becomes of failures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from obs_process import eventually
from web_hook import Hook, listening

from obs.alertmanager.alert import Alert
from obs.alertrelay import AlertRelay, parse
from obs.alertrelay.config import Alertmanagers
from obs.alertrelay.relay import found_in
from obs.errors import ConfigError
from obs.model.labels import make_labels

T0 = 1_700_000_000 * 10**9
MINUTE = 60 * 10**9


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listening() as found:
        yield found


def alert(name: str, ends_ns: int = 0, updated_ns: int = T0, **annotations: str) -> Alert:
    labels = make_labels({"alertname": name, "severity": "page"})
    return Alert(labels, make_labels(annotations), T0, ends_ns or updated_ns + 4 * MINUTE, updated_ns, "http://obs/x")


class Now:
    """A clock that stands."""

    ns = T0

    def now_ns(self) -> int:
        return self.ns


class Relayed:
    """A relay to one hook, with a clock of its own."""

    def __init__(self, hook: Hook, folder: Path, **more: Any) -> None:
        self.hook, self.clock = hook, Now()
        self.relay = AlertRelay(self.clock, folder)
        target = hook.url.removeprefix("http://").removesuffix("/hook")
        self.relay.apply(parse({"alertmanagers": [{"static_configs": [{"targets": [target]}], **more}]}))
        eventually(lambda: self.relay.listed()[0])

    def tell(self, *alerts: Alert) -> None:
        self.relay.tell(alerts)

    def figures(self) -> dict[str, float]:
        return {s.name: s.value for family in self.relay.collect() for s in family.samples}


@pytest.fixture
def relayed(hook: Hook, tmp_path: Path) -> Iterator[Relayed]:
    found = Relayed(hook, tmp_path)
    yield found
    found.relay.close()


def names(bodies: list[Any]) -> list[list[str]]:
    return [[each["labels"]["alertname"] for each in body] for body in bodies]


def test_an_alert_is_told_as_alertmanager_takes_it(relayed: Relayed) -> None:
    relayed.tell(alert("Full", summary="95 %"))
    (body,) = eventually(lambda: relayed.hook.bodies)
    assert body == [
        {
            "labels": {"alertname": "Full", "severity": "page"},
            "annotations": {"summary": "95 %"},
            "startsAt": "2023-11-14T22:13:20.000Z",
            "endsAt": "2023-11-14T22:17:20.000Z",
            "generatorURL": "http://obs/x",
        }
    ]
    (url,), dropped = relayed.relay.listed()
    assert url.endswith("/api/v2/alerts") and dropped == []
    eventually(lambda: relayed.figures()["obs_alerts_sent_total"] == 1)
    assert relayed.figures()["obs_alerts_waiting"] == relayed.figures()["obs_alerts_errors_total"] == 0


def test_what_was_taken_is_told_again_after_a_minute_and_where_it_changed(relayed: Relayed) -> None:
    def tell_at(seconds: int, *alerts: Alert) -> None:
        sent = relayed.figures().get("obs_alerts_sent_total", 0)
        relayed.clock.ns = T0 + seconds * 10**9
        relayed.tell(*alerts, alert(f"Mark{seconds}"))
        eventually(
            lambda: relayed.figures()["obs_alerts_sent_total"] > sent and not relayed.figures()["obs_alerts_waiting"]
        )

    tell_at(0, alert("A"))
    tell_at(15, alert("A", updated_ns=T0 + 15 * 10**9))
    tell_at(30, alert("A", updated_ns=T0 + 30 * 10**9, note="new"))
    tell_at(45, alert("A", ends_ns=T0 + 45 * 10**9, updated_ns=T0 + 45 * 10**9, note="new"))
    tell_at(60, alert("A", ends_ns=T0 + 45 * 10**9, updated_ns=T0 + 60 * 10**9, note="new"))
    tell_at(105, alert("A", ends_ns=T0 + 45 * 10**9, updated_ns=T0 + 105 * 10**9, note="new"))
    told = [name for body in names(relayed.hook.bodies) for name in body]
    marks = [0, 30, 45, 105]
    assert [name for name in told if name == "A"] == ["A"] * len(marks)
    assert [told[told.index(f"Mark{at}") - 1] for at in marks] == ["A"] * len(marks)


def test_one_that_is_away_is_asked_again_with_what_is_true_then(relayed: Relayed) -> None:
    relayed.hook.status = 503
    relayed.tell(alert("A", note="old"), alert("B"))
    eventually(lambda: relayed.hook.asked)
    relayed.tell(alert("A", note="new"))
    relayed.hook.status = 200
    eventually(lambda: relayed.figures()["obs_alerts_sent_total"] == 2)
    (body,) = relayed.hook.bodies
    assert {each["labels"]["alertname"]: each["annotations"] for each in body} == {"A": {"note": "new"}, "B": {}}
    assert relayed.figures()["obs_alerts_errors_total"] >= 2 and relayed.figures()["obs_alerts_dropped_total"] == 0


def test_one_that_refuses_is_not_asked_the_same_again_at_once(relayed: Relayed) -> None:
    relayed.hook.status = 400
    relayed.tell(alert("A"))
    eventually(lambda: relayed.figures()["obs_alerts_dropped_total"] == 1)
    relayed.hook.status = 200
    relayed.tell(alert("A"), alert("B"))
    eventually(lambda: relayed.hook.bodies)
    assert names(relayed.hook.bodies) == [["B"]]


def test_a_reload_keeps_what_waits_and_ends_who_is_gone(relayed: Relayed, tmp_path: Path) -> None:
    relayed.hook.status = 503
    relayed.tell(alert("A"))
    eventually(lambda: relayed.hook.asked)
    found = tmp_path / "found.json"
    found.write_text(json.dumps([{"targets": ["127.0.0.1:1"], "labels": {"__scheme__": "https"}}]))
    target = relayed.hook.url.removeprefix("http://").removesuffix("/hook")
    same = {"static_configs": [{"targets": [target]}]}
    other = {"path_prefix": "am/", "file_sd_configs": [{"files": ["found.json"], "refresh_interval": "50ms"}]}
    relayed.relay.apply(parse({"alertmanagers": [same, other]}))
    expected = [f"http://{target}/api/v2/alerts", "https://127.0.0.1:1/am/api/v2/alerts"]
    eventually(lambda: relayed.relay.listed()[0] == expected)
    found.write_text("[]")
    eventually(lambda: relayed.relay.listed()[0] == expected[:1])
    relayed.hook.status = 200
    eventually(lambda: names(relayed.hook.bodies) == [["A"]])
    relayed.relay.apply(parse({}))
    assert relayed.relay.listed() == ([], [])
    relayed.tell(alert("B"))  # to nobody


def test_alertmanagers_and_alerts_are_relabeled() -> None:
    config = parse(
        {
            "alertmanagers": [
                {
                    "scheme": "https",
                    "path_prefix": "/am",
                    "static_configs": [{"targets": ["a:9093", "b:9093"], "labels": {"zone": "x"}}],
                    "relabel_configs": [
                        {"source_labels": ["__address__"], "regex": "b:.*", "action": "drop"},
                        {"target_label": "__alerts_path__", "replacement": "/own/api/v2/alerts"},
                    ],
                }
            ],
            "alert_relabel_configs": [
                {"source_labels": ["severity"], "regex": "none", "action": "drop"},
                {"regex": "replica", "action": "labeldrop"},
            ],
        }
    )
    (entry,) = config.alertmanagers
    groups = [tuple({"__address__": target, "zone": "x"} for target in ("a:9093", "b:9093"))]
    found, dropped = found_in(entry, groups)
    assert found == ["https://a:9093/own/api/v2/alerts"]
    assert [labels["__address__"] for labels in dropped] == ["b:9093"]
    assert config.relabeled(make_labels({"alertname": "A", "replica": "1"})) == make_labels({"alertname": "A"})
    assert config.relabeled(make_labels({"alertname": "A", "severity": "none"})) is None
    assert Alertmanagers().path == "/api/v2/alerts" and parse({}).relabeled(()) == ()


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"alertmanagers": [{"api_version": "v1"}]}, "alerting.alertmanagers.0.api_version"),
        ({"alertmanagers": [{"scheme": "ftp"}]}, "alerting.alertmanagers.0.scheme"),
        ({"alertmanagers": [{"kubernetes_sd_configs": []}]}, "alerting.alertmanagers.0.kubernetes_sd_configs"),
        ({"alertmanagers": [{"timeout": "soon"}]}, "alerting.alertmanagers.0.timeout"),
        ({"alert_relabel_configs": [{"action": "sing"}]}, "alerting.alert_relabel_configs.0"),
    ],
)
def test_faulty_configuration_names_the_place(values: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(values)
    assert str(error.value).startswith(place)
