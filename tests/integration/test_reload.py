"""`POST /-/reload` on a running server: rules, intervals and external labels, seen through every API that has them."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import remote_read_client as remote
import yaml
from obs_process import ObsProcess, eventually

ALWAYS = {"alert": "Always", "expr": "vector(1)", "annotations": {"from": "{{ $externalLabels.region }}"}}


def get(obs: ObsProcess, path: str, **params: str) -> Any:
    return json.loads(obs.client.transport.raw(path, list(params.items())))


def reload(obs: ObsProcess) -> tuple[int, str]:
    connection = http.client.HTTPConnection(obs.url.removeprefix("http://"), timeout=60)
    connection.request("POST", "/-/reload")
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def federated(obs: ObsProcess, metric: str) -> str:
    return obs.client.transport.raw("/federate", [("match[]", metric)]).decode()


def write(folder: Path, rules: list[dict[str, Any]], shared: dict[str, Any], name: str = "rules.yml") -> Path:
    """A configuration with one rule file."""
    (folder / name).write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    config = folder / "obs.yml"
    config.write_text(yaml.safe_dump({"global": shared, "rule_files": [str(folder / name)]}))
    return config


def sampled(obs: ObsProcess) -> float:
    return float(get(obs, "/jaeger/sampling", service="cart")["probabilisticSampling"]["samplingRate"])


def receivers(obs: ObsProcess) -> list[str]:
    return [receiver["name"] for receiver in get(obs, "/alertmanager/api/v2/receivers")]


def test_a_reload_takes_over_all_or_nothing(tmp_path: Path) -> None:
    rules, strategies, config = tmp_path / "rules.yml", tmp_path / "sampling.json", tmp_path / "obs.yml"

    def told(rule: str, share: float, receiver: str, job: str) -> None:
        rules.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [{"record": "one", "expr": rule}]}]}))
        strategies.write_text(json.dumps({"default_strategy": {"type": "probabilistic", "param": share}}))
        settings = {
            "rule_files": [str(rules)],
            "alerting": {"route": {"receiver": receiver}, "receivers": [{"name": receiver}]},
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": ["127.0.0.1:9"]}]}],
            "receivers": {"jaeger": {"sampling": {"file": str(strategies)}}},
        }
        config.write_text(yaml.safe_dump(settings))

    def found(obs: ObsProcess) -> tuple[str, float, list[str], str]:
        (group,) = get(obs, "/api/v1/rules")["data"]["groups"]
        shown = yaml.safe_load(get(obs, "/api/v1/status/config")["data"]["yaml"])
        assert [shown["alerting"]["route"]["receiver"]] == receivers(obs)
        return group["rules"][0]["query"], sampled(obs), receivers(obs), shown["scrape_configs"][0]["job_name"]

    told("vector(1)", 0.25, "first", "a")
    with ObsProcess(tmp_path / "data", "--config", str(config)) as obs:
        before = ("vector(1)", 0.25, ["first"], "a")
        assert found(obs) == before
        told("vector(", 0.5, "second", "b")
        assert reload(obs)[0] == 400 and found(obs) == before
        told("vector(2)", 0.5, "second", "b")
        strategies.write_text("{")
        assert reload(obs)[0] == 400 and found(obs) == before
        told("vector(2)", 0.5, "second", "b")
        settings = yaml.safe_load(config.read_text())
        config.write_text(yaml.safe_dump({**settings, "alerting": {"route": {"receiver": "nobody"}}}))
        assert reload(obs)[0] == 400 and found(obs) == before
        config.write_text(yaml.safe_dump(settings))
        assert reload(obs) == (200, "reloaded\n")
        assert found(obs) == ("vector(2)", 0.5, ["second"], "b")


def test_rules_and_external_labels_follow_a_reload(tmp_path: Path) -> None:
    every = {"evaluation_interval": "300ms"}
    config = write(
        tmp_path, [{"record": "one", "expr": "vector(1)"}, ALWAYS], {**every, "external_labels": {"region": "eu"}}
    )
    with ObsProcess(tmp_path / "data", "--config", str(config)) as obs:
        found = eventually(lambda: federated(obs, "one"), lambda text: "one{" in text)
        assert 'one{instance="",region="eu"} 1' in found
        (group,) = get(obs, "/api/v1/rules")["data"]["groups"]
        assert group["interval"] == 0.3
        (alert,) = eventually(lambda: get(obs, "/alertmanager/api/v2/alerts"))
        assert alert["labels"] == {"alertname": "Always", "region": "eu"} and alert["annotations"]["from"] == "eu"
        (own,) = get(obs, "/api/v1/alerts")["data"]["alerts"]
        assert own["labels"] == {"alertname": "Always"}

        write(
            tmp_path, [{"record": "two", "expr": "vector(2)"}], {**every, "external_labels": {"region": "us"}}, "b.yml"
        )
        assert reload(obs) == (200, "reloaded\n")
        found = eventually(lambda: federated(obs, "two"), lambda text: "two{" in text)
        assert 'two{instance="",region="us"} 2' in found
        assert [r["name"] for r in get(obs, "/api/v1/rules")["data"]["groups"][0]["rules"]] == ["two"]
        assert get(obs, "/api/v1/query", query="one")["data"]["result"] == []  # ended, as its rule is gone
        asked = remote.request([remote.query(0, 1 << 50, (0, "__name__", "two"), (0, "region", "us"))])
        status, _, answer = remote.ask(obs.url, asked)
        assert status == 200 and [s.labels for s in remote.read_samples(answer)[0]] == [
            {"__name__": "two", "region": "us"}
        ]
        asked = remote.request([remote.query(0, 1 << 50, (0, "__name__", "two"), (0, "region", "eu"))])
        assert remote.read_samples(remote.ask(obs.url, asked)[2]) == [[]]
        shown = yaml.safe_load(get(obs, "/api/v1/status/config")["data"]["yaml"])
        assert shown["global"]["external_labels"] == {"region": "us"} and shown["rule_files"] == [
            str(tmp_path / "b.yml")
        ]
        assert get(obs, "/api/v1/status/runtimeinfo")["data"]["reloadConfigSuccess"] is True

        config.write_text(yaml.safe_dump({"rule_files": [str(tmp_path / "none.yml")]}))
        status, said = reload(obs)
        assert status == 400 and "none.yml" in said
        assert get(obs, "/api/v1/status/runtimeinfo")["data"]["reloadConfigSuccess"] is False
        assert 'region="us"' in federated(obs, "two")
