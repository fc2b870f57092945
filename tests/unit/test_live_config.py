"""The configuration while the server runs: what a reload takes over, and what is shown of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from obs.alertmanager.rules.model import parse_groups
from obs.collector.receivers.scrape.config import Job
from obs.config import Config, load
from obs.errors import ConfigError
from obs.live_config import LiveConfig
from obs.model.clock import SYSTEM_CLOCK

FIRST: dict[str, Any] = {
    "data": "here",
    "global": {
        "scrape_interval": "30s",
        "scrape_timeout": "20s",
        "evaluation_interval": "90s",
        "rule_query_offset": "5s",
        "external_labels": {"region": "${OBS_TEST_REGION}", "shard": 1, "cost": "5$$"},
        "sample_limit": 100,
    },
    "external_labels": {"region": "beside", "site": "a"},
    "rule_files": ["rules/*.yml"],
    "scrape_configs": [
        {"job_name": "plain", "static_configs": [{"targets": ["h:1"]}]},
        {
            "job_name": "own",
            "scrape_interval": "5s",
            "sample_limit": 7,
            "basic_auth": {"username": "u", "password": "hunter2"},
            "http_headers": {"X-Key": {"secrets": ["hunter3"], "values": ["shown"]}},
            "proxy_url": "http://me:hunter4@proxy:1",
        },
    ],
    "receivers": {"splunk_hec": {"tokens": ["hunter5"]}, "fluent": {"shared_key": "hunter6"}},
    "alerting": {
        "route": {"receiver": "w"},
        "receivers": [
            {"name": "w", "webhook_configs": [{"url": "http://w", "http_config": {"bearer_token": "hunter7"}}]}
        ],
    },
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OBS_TEST_REGION", "eu")
    path = tmp_path / "obs.yml"
    path.write_text(yaml.safe_dump(FIRST))
    return path


def test_files_are_sought_beside_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "obs.yml"
    job = {
        "job_name": "j",
        "file_sd_configs": [{"files": ["targets/*.yml", "/abs.yml"]}],
        "basic_auth": {"username": "u", "password_file": "secret"},
        "static_configs": [{"targets": ["h:1"], "labels": {"log_file": "app.log", "files": "many"}}],
        "params": {"files": ["a"], "x_file": ["b"]},
    }
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yml", "/other.yml"], "scrape_configs": [job]}))
    config = load(file, {})
    assert config.rule_files == [str(tmp_path / "rules.yml"), "/other.yml"]
    (found,) = LiveConfig(config, None, SYSTEM_CLOCK).jobs
    assert found.file_sd_configs[0].files == [str(tmp_path / "targets/*.yml"), "/abs.yml"]
    assert found.basic_auth is not None and found.basic_auth.password_file == str(tmp_path / "secret")
    assert found.static_configs[0].labels == {"log_file": "app.log", "files": "many"}
    assert found.params == {"files": ["a"], "x_file": ["b"]}


def live(file: Path) -> LiveConfig:
    return LiveConfig(load(file, {}), lambda: load(file, {}), SYSTEM_CLOCK)


def test_what_global_says_is_honoured(file: Path) -> None:
    found = live(file)
    assert found.external_labels() == {"region": "eu", "shard": "1", "cost": "5$", "site": "a"}
    plain, own = found.jobs
    assert (plain.scrape_interval, plain.timeout_s, plain.sample_limit) == (30.0, 20.0, 100)
    assert (own.scrape_interval, own.timeout_s, own.sample_limit) == (5.0, 5.0, 7)
    options = found.alert_options(file.parent, "http://obs")
    assert options.external_labels == found.external_labels()
    rules = {"groups": [{"name": "a"}, {"name": "b", "interval": "7s", "query_offset": "0s"}]}
    groups = parse_groups(rules, "r.yml", options.defaults)
    assert [(g.interval_s, g.query_offset_s) for g in groups] == [(90.0, 5.0), (7.0, 0.0)]


def test_all_is_shown_but_secrets_and_can_be_read_again(file: Path, tmp_path: Path) -> None:
    text = live(file).text()
    assert "hunter" not in text and text.count("<secret>") == 5 and "http://me:xxxxx@proxy:1" in text
    shown = yaml.safe_load(text)
    assert shown["global"]["scrape_interval"] == "30s" and shown["global"]["evaluation_interval"] == "1m30s"
    assert shown["global"]["external_labels"] == {"region": "eu", "shard": "1", "cost": "5$", "site": "a"}
    plain, own = shown["scrape_configs"]
    assert (plain["scrape_interval"], plain["scrape_timeout"], plain["metrics_path"]) == ("30s", "20s", "/metrics")
    assert own["http_headers"] == {"X-Key": {"secrets": ["<secret>"], "values": ["shown"]}}
    assert shown["rule_files"] == [str(file.parent / "rules/*.yml")] and shown["metrics"]["retention"]["age"] == "30d"
    again = tmp_path / "again.yml"
    again.write_text(text)
    assert yaml.safe_load(live(again).text()) == shown


def test_a_reload_takes_over_what_it_can(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = live(file)
    used: list[tuple[Config, Sequence[Job]]] = []
    second = {**FIRST, "rule_files": [], "global": {"external_labels": {"region": "us"}}, "scrape_configs": []}
    file.write_text(yaml.safe_dump({**second, "data": "there", "external_labels": {}}))
    told = found.reload(lambda config, jobs: used.append((config, jobs)))
    assert [(config.rule_files, jobs) for config, jobs in used] == [([], ())]
    assert found.external_labels() == {"region": "us"} and found.jobs == ()
    assert found.config.data == Path("here") and "a change of data needs obs to be started again" in caplog.text
    assert told == "reloaded; but a change of data needs obs to be started again"
    assert found.reloaded.succeeded and found.reloaded.at_ns > 0


@pytest.mark.parametrize("fault", [{"global": {"scrape_interval": "x"}}, {"scrape_configs": [{"job_name": ""}]}])
def test_a_reload_that_fails_changes_nothing(file: Path, fault: dict[str, Any]) -> None:
    found = live(file)
    before = found.text()
    file.write_text(yaml.safe_dump({**FIRST, **fault}))
    with pytest.raises(ConfigError):
        found.reload(lambda *_: pytest.fail("it is not to be used"))
    assert found.text() == before and not found.reloaded.succeeded and found.reloaded.at_ns == 0


def test_reloads_come_one_after_the_other(file: Path) -> None:
    found, began, go_on = live(file), threading.Event(), threading.Event()
    used: list[str] = []

    def slowly(*_: object) -> None:
        began.set()
        assert go_on.wait(60)
        used.append("first")

    first = threading.Thread(target=found.reload, args=(slowly,))
    second = threading.Thread(target=found.reload, args=(lambda *_: used.append("second"),))
    first.start()
    assert began.wait(60)
    second.start()
    second.join(0.05)  # it would be through by then
    go_on.set()
    first.join()
    second.join()
    assert used == ["first", "second"]


def test_rules_that_cannot_be_read_change_nothing(file: Path) -> None:
    found = live(file)

    def refuse(*_: object) -> None:
        raise ConfigError("rule_files: no")

    file.write_text(yaml.safe_dump({**FIRST, "rule_files": ["x"]}))
    with pytest.raises(ConfigError):
        found.reload(refuse)
    assert found.config.rule_files == [str(file.parent / "rules/*.yml")] and not found.reloaded.succeeded
