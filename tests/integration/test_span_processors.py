"""Processors of spans in a real server: what comes in by Zipkin's API is found by PromQL, by the names of Tempo."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from log_senders import post
from obs_process import ObsProcess, eventually

CONFIG = """
processors:
  span_metrics: {enabled: true, interval: 1s, dimensions: [http.method], histograms: [classic, native]}
  service_graph: {enabled: true, interval: 1s, wait: 2s}
"""
NOW_US = time.time_ns() // 1000
TRACES = 50


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    folder = tmp_path_factory.mktemp("processors")
    config = folder / "obs.yml"
    config.write_text(CONFIG)
    with ObsProcess(folder / "data", "--config", str(config)) as process:
        for half in ("CLIENT", "SERVER"):
            sent = [span for trace in range(1, TRACES + 1) for span in request(trace) if span["kind"] == half]
            assert post(process.url, "/zipkin/api/v2/spans", json.dumps(sent).encode(), {})[0] == 202
        yield process
        assert "Traceback" not in process.errors()


def request(trace: int) -> list[dict[str, Any]]:
    """A client's and a server's span; every fifth fails, and each client asks a database."""
    failed = {"error": "true"} if trace % 5 == 0 else {}
    like = {"traceId": f"{trace:032x}", "timestamp": NOW_US, "duration": 30_000}
    return [
        like | {"id": "1", "name": f"get /cart/{trace}", "kind": "CLIENT", "localEndpoint": {"serviceName": "web"},
                "tags": {"http.method": "GET"}},
        like | {"id": "2", "parentId": "1", "name": "get", "kind": "SERVER", "localEndpoint": {"serviceName": "cart"},
                "duration": 20_000 + trace, "tags": failed},
        like | {"id": "3", "parentId": "2", "name": "select", "kind": "CLIENT", "tags": {"db.system": "redis"},
                "localEndpoint": {"serviceName": "cart"}},
    ]  # fmt: skip


def ask(obs: ObsProcess, query: str) -> dict[tuple[str, ...], float]:
    """An instant vector by the values of its labels."""
    found = json.loads(obs.client.transport.raw("/api/v1/query", [("query", query)]))["data"]["result"]
    return {tuple(sample["metric"].values()): float(sample["value"][1]) for sample in found}


def test_span_metrics_are_found_by_promql(obs: ObsProcess) -> None:
    calls = "sum by (service, span_name, http_method) (traces_spanmetrics_calls_total{service!='obs'})"
    expected = {("cart", "get"): 50, ("cart", "select"): 50, ("GET", "web", "get /cart/{id}"): 50}
    found = eventually(lambda: ask(obs, calls), lambda found: sum(found.values()) == 3 * TRACES)
    assert {tuple(sorted(key)): value for key, value in found.items()} == {
        tuple(sorted(key)): value for key, value in expected.items()
    }
    errors = "sum (traces_spanmetrics_calls_total{status_code='STATUS_CODE_ERROR'})"
    assert list(ask(obs, errors).values()) == [TRACES / 5]
    p90 = "histogram_quantile(0.9, traces_spanmetrics_latency{service='cart', span_name='get', status_code!~'.*ERROR'})"
    classic = (
        "histogram_quantile(0.9, sum by (le) (traces_spanmetrics_latency_bucket{service='cart', span_name='get'}))"
    )
    assert 0.018 < next(iter(ask(obs, p90).values())) < 0.023
    assert 0.016 < next(iter(ask(obs, classic).values())) <= 0.032


def test_a_rate_sees_the_first_spans_of_a_series(obs: ObsProcess) -> None:
    query = "sum (increase(traces_spanmetrics_calls_total{service='web'}[5m]))"
    found = eventually(lambda: ask(obs, query), lambda found: sum(found.values()) >= TRACES)
    assert sum(found.values()) >= TRACES


def test_an_exemplar_leads_to_its_trace(obs: ObsProcess) -> None:
    params = [("query", "traces_spanmetrics_latency_bucket{service='web'}"), ("start", str(NOW_US // 10**6 - 3600)),
              ("end", str(NOW_US // 10**6 + 3600))]  # fmt: skip
    found = eventually(lambda: json.loads(obs.client.transport.raw("/api/v1/query_exemplars", params))["data"])
    labels = found[0]["exemplars"][0]["labels"]
    (trace,) = json.loads(obs.client.transport.raw(f"/jaeger/api/traces/{labels['trace_id']}", []))["data"]
    assert {span["spanID"] for span in trace["spans"]} >= {labels["span_id"]}


def test_the_service_graph_is_found_by_promql(obs: ObsProcess) -> None:
    query = "sum by (client, server, connection_type) (traces_service_graph_request_total{client!='user'})"
    found = eventually(lambda: ask(obs, query), lambda found: len(found) == 2)
    assert {tuple(sorted(key)): value for key, value in found.items()} == {
        ("cart", "web"): TRACES,
        ("cart", "database", "redis"): TRACES,
    }
    failed = ask(obs, "sum (traces_service_graph_request_failed_total{client='web', server='cart'})")
    assert list(failed.values()) == [TRACES / 5]
    seconds = ask(obs, "sum (traces_service_graph_request_client_seconds_sum{client='web', server='cart'})")
    assert list(seconds.values()) == [pytest.approx(TRACES * 0.03)]


@pytest.mark.parametrize("name", ["span_metrics", "service_graph"])
def test_the_ledger_has_what_was_derived(obs: ObsProcess, name: str) -> None:
    def entry() -> dict[str, Any]:
        entries = json.loads(obs.client.transport.raw("/api/status", []))["ledger"]
        return next((e for e in entries if (e["signal"], e["receiver"]) == ("metrics", name)), {})

    found = eventually(entry)
    assert found["received"] == found["stored"] > 0
