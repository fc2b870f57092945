"""A rule file, a real server and a real webhook: pending, firing, one page across a restart, resolved."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from obs_process import ObsProcess, eventually
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from web_hook import Hook, listening

from obs.client.transport import Transport

RULES = """
groups:
  - name: queue
    interval: 300ms
    rules:
      - {record: "job:shop_queue:max", expr: "max by (job) (shop_queue)"}
      - alert: QueueLong
        expr: job:shop_queue:max > 10
        for: 300ms
        labels: {severity: page}
        annotations: {summary: "{{ $labels.job }} has {{ $value }} waiting"}
"""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listening() as found:
        yield found


class Queue:
    """An application that reports the length of its queue."""

    def __init__(self, obs: ObsProcess) -> None:
        exporter = OTLPMetricExporter(f"{obs.url}/v1/metrics")
        self._reader = PeriodicExportingMetricReader(exporter, 3_600_000)
        self._provider = MeterProvider([self._reader], Resource.create({"service.name": "cart"}))
        self._gauge = self._provider.get_meter("test").create_gauge("shop.queue")

    def report(self, length: int) -> None:
        """Once: what is not sent by then never is."""
        self._gauge.set(length)
        self._provider.shutdown()


def firing(obs: ObsProcess) -> list[dict[str, str]]:
    return [alert["labels"] for alert in obs.client.notified_alerts()]


def test_alerts_are_sent_on_to_the_alertmanagers_of_a_prometheus_yml(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    with ObsProcess(tmp_path / "other") as other:
        prometheus_yml = (
            "global: {external_labels: {site: a, replica: x}}\n"
            "rule_files: [rules.yml]\n"
            "alerting:\n"
            "  alert_relabel_configs: [{regex: replica, action: labeldrop}]\n"
            "  alertmanagers:\n"
            "    - path_prefix: /alertmanager\n"
            "      basic_auth: {username: u, password: hidden}\n"
            "      static_configs: [{targets: ['dropped:1']}]\n"
            "      file_sd_configs: [{files: [peers.json]}]\n"
            "      relabel_configs: [{source_labels: [__address__], regex: 'dropped:.*', action: drop}]\n"
        )
        (tmp_path / "prometheus.yml").write_text(prometheus_yml)
        (tmp_path / "peers.json").write_text(json.dumps([{"targets": [other.url.removeprefix("http://")]}]))
        with ObsProcess(tmp_path / "data", "--config", str(tmp_path / "prometheus.yml")) as obs:
            transport = Transport(obs.url, 30.0)
            Queue(obs).report(25)
            expected = {"alertname": "QueueLong", "job": "cart", "severity": "page", "site": "a"}
            assert eventually(lambda: firing(other)) == [expected] == firing(obs)
            listed = transport.json("/api/v1/alertmanagers")["data"]
            urls = [each["url"] for each in listed["activeAlertmanagers"]]
            assert urls == [f"{url}/alertmanager/api/v2/alerts" for url in (obs.url, other.url)]
            assert listed["droppedAlertmanagers"] == [{"url": "http://dropped:1/alertmanager/api/v2/alerts"}]
            metrics = transport.raw("/metrics").decode()
            assert f'obs_alerts_sent_total{{url="{urls[1]}"}}' in metrics
            shown = transport.json("/api/v1/status/config")["data"]["yaml"]
            assert "path_prefix: /alertmanager" in shown and "hidden" not in shown

            (tmp_path / "prometheus.yml").write_text("rule_files: [rules.yml]\n")
            transport.post("/-/reload", b"", {})
            listed = transport.json("/api/v1/alertmanagers")["data"]
            assert [each["url"] for each in listed["activeAlertmanagers"]] == urls[:1]


def rule_health(obs: ObsProcess) -> list[str]:
    return [rule["health"] for rule in obs.client.prometheus.rules()[0]["rules"]]


def test_from_a_rule_to_a_webhook(tmp_path: Path, hook: Hook) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    route = "{receiver: ops, group_by: [alertname], group_wait: 100ms, group_interval: 300ms}"
    (tmp_path / "obs.yml").write_text(
        f"rule_files: [{tmp_path}/rules.yml]\n"
        f"alerting:\n  route: {route}\n  receivers: [{{name: ops, webhook_configs: [{{url: '{hook.url}'}}]}}]\n"
    )
    with ObsProcess(tmp_path / "data", "--config", str(tmp_path / "obs.yml")) as obs:
        Queue(obs).report(25)
        eventually(lambda: hook.bodies)
        (page,) = hook.bodies
        assert (page["status"], page["version"], page["receiver"]) == ("firing", "4", "ops")
        assert page["alerts"][0]["annotations"] == {"summary": "cart has 25 waiting"}
        assert page["commonLabels"] == {"alertname": "QueueLong", "job": "cart", "severity": "page"}
        recorded = obs.client.prometheus.query("job:shop_queue:max").result
        assert [e["value"][1] for e in recorded] == ["25"]
        (group,) = obs.client.prometheus.rules()
        assert [r["health"] for r in group["rules"]] == ["ok", "ok"]
        assert [a["state"] for a in obs.client.prometheus.alerts()] == ["firing"]
        assert obs.client.prometheus.query('ALERTS{alertstate="firing"}').result
        assert [a["labels"]["alertname"] for a in obs.client.notified_alerts()] == ["QueueLong"]

        obs.kill()
        obs.start()
        health = eventually(lambda: rule_health(obs), lambda found: "unknown" not in found)
        assert health == ["ok", "ok"]
        Queue(obs).report(2)
        eventually(lambda: len(hook.bodies) > 1)
        assert [b["status"] for b in hook.bodies] == ["firing", "resolved"]


def test_a_receiver_that_hangs_keeps_obs_from_nothing(tmp_path: Path) -> None:
    """It is waited for while obs runs, not when obs ends."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        url = f"http://127.0.0.1:{hung.getsockname()[1]}/"
        rule = "{alert: Always, expr: vector(1)}"
        (tmp_path / "rules.yml").write_text(f"groups: [{{name: a, interval: 300ms, rules: [{rule}]}}]")
        hook = f"{{url: '{url}', timeout: 1h}}"
        (tmp_path / "obs.yml").write_text(
            f"rule_files: [{tmp_path}/rules.yml]\n"
            "alerting:\n  route: {receiver: ops, group_wait: 0s}\n"
            f"  receivers: [{{name: ops, webhook_configs: [{hook}]}}]\n"
        )
        with ObsProcess(tmp_path / "data", "--config", str(tmp_path / "obs.yml")) as obs:
            hung.settimeout(60)
            connection, _ = hung.accept()
            with connection:
                assert obs.client.prometheus.rules()[0]["rules"][0]["health"] == "ok"
                assert obs.stop() == 0
