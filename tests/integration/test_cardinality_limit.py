"""A real obs past its cardinality limit: each protocol says so in its terms, and so do status, metrics and doctor."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import cramjam
import obs_command
from obs_process import ObsProcess, eventually
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service

NOW_S = 1_790_000_000
LIMIT = 200  # more than any of our own metrics has


def otlp(obs: ObsProcess, metric: str, users: range) -> dict[str, Any]:
    """Send a gauge of so many users; the answer."""
    points = [
        {
            "asDouble": 1.0,
            "timeUnixNano": str(NOW_S * 10**9),
            "attributes": [{"key": "user", "value": {"stringValue": str(user)}}],
        }
        for user in users
    ]
    metrics = [{"name": metric, "gauge": {"dataPoints": points}}]
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    return post(f"{obs.otlp_http}/v1/metrics", json.dumps(body).encode(), {"Content-Type": "application/json"})


def post(url: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def text(value: str, number: int) -> bytes:
    """A short text as a protobuf field."""
    return bytes([number << 3 | 2, len(value)]) + value.encode()


def remote_write(obs: ObsProcess, metric: str, users: range) -> tuple[int, str]:
    """Status and text of the answer to as many series of one sample at time 0."""
    sample = bytes([2 << 3 | 2, 9, 1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F])
    body = b""
    for user in users:
        pairs = [text("__name__", 1) + text(metric, 2), text("user", 1) + text(str(user), 2)]
        series = b"".join(bytes([1 << 3 | 2, len(pair)]) + pair for pair in pairs) + sample
        body += bytes([1 << 3 | 2, len(series)]) + series
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    request = urllib.request.Request(f"{obs.url}/api/v1/write", bytes(cramjam.snappy.compress_raw(body)), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def get(obs: ObsProcess, path: str) -> Any:
    with urllib.request.urlopen(obs.url + path) as answer:
        return json.loads(answer.read())


def test_past_the_limit(tmp_path: Path) -> None:
    config = tmp_path / "obs.yml"
    config.write_text(f"tsdb: {{max_series_per_metric: {LIMIT}}}\nself: {{metrics_interval: 1h}}\n")
    with ObsProcess(tmp_path / "data", "--config", str(config)) as obs:
        assert otlp(obs, "logins", range(LIMIT - 1)) == {}
        refused = otlp(obs, "logins", range(LIMIT + 2))["partialSuccess"]
        assert refused["rejectedDataPoints"] == "2"
        assert "2 because" in refused["errorMessage"]
        assert (
            "limit of 200 series a metric (tsdb.max_series_per_metric) is reached by 'logins'"
            in refused["errorMessage"]
        )
        status, said = remote_write(obs, "logins", range(LIMIT + 1, LIMIT + 5))
        assert status == 400
        assert said.startswith("cannot store 4 samples: 4 because")
        assert "'logins'" in said
        assert remote_write(obs, "visits", range(2))[0] == 204
        told(obs)
        obs.kill()
        obs.start()
        assert otlp(obs, "logins", range(900, 901))["partialSuccess"]["rejectedDataPoints"] == "1"
        assert otlp(obs, "logins", range(LIMIT)) == {}
        assert len(users(obs)) == LIMIT
        deletes_make_room(obs)


def users(obs: ObsProcess) -> set[str]:
    """Who has a series of the guilty metric."""
    return {labels["user"] for labels in get(obs, "/api/v1/series?match[]=logins")["data"]}


def deletes_make_room(obs: ObsProcess) -> None:
    """A delete that was answered outlives SIGKILL; what is written after it is there."""
    request = urllib.request.Request(f"{obs.url}/api/v1/admin/tsdb/delete_series?match[]=logins", method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 204
    assert otlp(obs, "logins", range(900, 901)) == {}
    obs.kill()
    obs.start()
    assert eventually(lambda: users(obs), lambda found: bool(found)) == {"900"}
    assert otlp(obs, "logins", range(LIMIT - 1)) == {}
    assert len(users(obs)) == LIMIT


def told(obs: ObsProcess) -> None:
    """The ledger, the status, our own metrics and the doctor name the metric."""
    entries = {(e["signal"], e["receiver"]): e for e in get(obs, "/api/status")["ledger"]}
    assert entries["metrics", "remote_write"]["dropped"] == {"cardinality_limit": 4}
    over_http = entries["metrics", "otlp_http"]
    assert (over_http["received"], over_http["stored"], over_http["dropped"]) == (
        2 * LIMIT + 1,
        2 * LIMIT - 1,
        {"cardinality_limit": 2},
    )
    limits = get(obs, "/api/v1/status/tsdb")["data"]["cardinalityLimits"]
    assert limits["droppedSamplesByMetricName"][0] == {"name": "logins", "value": 6}
    with urllib.request.urlopen(f"{obs.url}/metrics") as answer:
        assert 'obs_cardinality_dropped_total{metric="logins",store="metrics"} 6.0' in answer.read().decode()
    doctor = obs_command.obs("doctor", "--output", "json", server=obs.url)
    checks = {check["check"]: check for check in json.loads(doctor.stdout)}
    assert checks["series of logins"]["state"] == "warning"
    assert "6 samples of new series dropped" in checks["series of logins"]["detail"]


def test_the_partial_success_parses() -> None:
    """Field names above are those of the specification."""
    fields = service.ExportMetricsPartialSuccess.DESCRIPTOR.fields_by_name
    assert [fields[name].json_name for name in ("rejected_data_points", "error_message")] == [
        "rejectedDataPoints", "errorMessage",
    ]  # fmt: skip
