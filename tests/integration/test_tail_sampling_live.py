"""Tail sampling in a real server: what is kept is found, what is left out is counted, a kill loses nothing."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from log_senders import post
from obs_process import ObsProcess, eventually

from obs.wire_messages import message_class

CONFIG = """
self: {{trace_ratio: 0, metrics_interval: 1s}}
processors:
  span_metrics: {{enabled: true, interval: 1s}}
  tail_sampling:
    decision_wait: {wait}
    policies:
      - {{name: errors, type: status_code, status_code: {{status_codes: [ERROR]}}}}
      - {{name: slow, type: latency, latency: {{threshold_ms: 500}}}}
      - {{name: tenth, type: probabilistic, probabilistic: {{sampling_percentage: 10}}}}
"""
TraceById = message_class("test.tempo_v2", {
    "Trace": (("resource_spans", 1, 12, 3, ""),),
    "TraceById": (("trace", 1, 11, 1, "Trace"), ("status", 3, 5, 1, ""), ("message", 4, 9, 1, "")),
}, "TraceById")  # fmt: skip
NOW_US = time.time_ns() // 1000


def send(obs: ObsProcess, traces: range, **like: Any) -> None:
    """A root and a child of each, in bodies of their own."""
    for span, parent in (("1", None), ("2", "1")):
        body = [
            {"traceId": f"{t:032x}", "id": span, "parentId": parent, "name": "op", "timestamp": NOW_US, "duration": 100,
             "localEndpoint": {"serviceName": "shop"}, **like}
            for t in traces
        ]  # fmt: skip
        assert post(obs.url, "/zipkin/api/v2/spans", json.dumps(body).encode(), {})[0] == 202


def stored(obs: ObsProcess) -> dict[int, int]:
    """How many spans each stored trace has."""
    query = "SELECT trace_id, count(*) AS n FROM spans GROUP BY 1"
    raw = obs.client.transport.raw("/api/sql", [("q", query)])
    rows = json.loads(raw)["rows"]
    return {int(str(trace).replace("\\x", ""), 16): n for trace, n in rows}


def sampling(obs: ObsProcess) -> dict[str, Any]:
    entries = json.loads(obs.client.transport.raw("/api/status", []))["ledger"]
    return next((e for e in entries if e["receiver"] == "tail_sampling"), {"received": 0})


def test_kept_traces_are_found_and_the_others_are_counted(tmp_path: Path) -> None:
    config = tmp_path / "obs.yml"
    config.write_text(CONFIG.format(wait="1s"))
    with ObsProcess(tmp_path / "data", "--config", str(config)) as obs:
        send(obs, range(1, 301))
        send(obs, range(1001, 1011), tags={"error": "true"})
        send(obs, range(2001, 2006), duration=600_000)
        entry = eventually(lambda: sampling(obs), lambda e: e["received"] == 630)
        assert entry["received"] == entry["stored"] + entry["dropped"]["sampled_out"]
        found = stored(obs)
        assert set(found.values()) == {2}
        assert {*range(1001, 1011), *range(2001, 2006)} <= found.keys()
        assert 10 < len([t for t in found if t < 1000]) < 60
        assert entry["stored"] == 2 * len(found)
        metrics = obs.client.transport.raw("/metrics", []).decode()
        assert 'obs_tail_sampling_decisions_total{decision="sampled",policy="errors"} 10.0' in metrics
        assert 'obs_tail_sampling_traces_total{decision="sampled_out"}' in metrics
        calls = [("query", "sum(traces_spanmetrics_calls_total{service='shop'})")]

        def counted() -> float:
            result = json.loads(obs.client.transport.raw("/api/v1/query", calls))["data"]["result"]
            return float(result[0]["value"][1]) if result else 0.0

        assert eventually(counted, lambda value: value == 630) == 630
        assert "Traceback" not in obs.errors()


def searches_say_what_waits(obs: ObsProcess) -> None:
    """In the head of every answer, and within where the shape has a place for it."""
    tempo = "/tempo/api/search", "/tempo/api/metrics/query?q={}|rate()"
    for path in (*tempo, "/jaeger/api/traces", "/zipkin/api/v2/traces", "/jaeger/api/v3/trace-summaries"):
        with urllib.request.urlopen(f"{obs.url}{path}", timeout=30) as answer:
            assert "200 spans wait for the sampling decision" in answer.headers["Warning"], path
            found = json.loads(answer.read())
        if path in tempo:
            assert (found["status"], found["message"][:9]) == ("PARTIAL", "200 spans")


def test_what_is_undecided_outlives_a_kill(tmp_path: Path) -> None:
    config = tmp_path / "obs.yml"
    config.write_text(CONFIG.format(wait="600s"))
    with ObsProcess(tmp_path / "data", "--config", str(config)) as obs:
        send(obs, range(1, 51), tags={"error": "true"})
        send(obs, range(101, 151))
        assert stored(obs) == {}
        waits = "partial: waiting for the sampling decision; 2 of its spans are not stored yet"
        found = obs.client.traces.trace(f"{7:032x}")
        assert (found["totalSpans"], found["warnings"]) == (2, [waits])
        tempo = json.loads(obs.client.transport.raw(f"/tempo/api/v2/traces/{7:032x}", []))
        assert (tempo["status"], tempo["message"]) == ("PARTIAL", waits)
        raw = urllib.request.Request(
            f"{obs.url}/tempo/api/v2/traces/{7:032x}", headers={"Accept": "application/protobuf"}
        )
        with urllib.request.urlopen(raw, timeout=30) as answer:
            partial = TraceById.FromString(answer.read())
        assert (partial.status, partial.message, len(partial.trace.resource_spans)) == (1, waits, 1)
        searched = json.loads(obs.client.transport.raw("/api/traces/search", []))
        assert (searched["traces"], [w.split(" and")[0] for w in searched["warnings"]]) == (
            [], ["200 spans wait for the sampling decision"],
        )  # fmt: skip
        searches_say_what_waits(obs)
        obs.kill()
        config.write_text(CONFIG.format(wait="1s"))
        obs.start()
        found = eventually(lambda: stored(obs), lambda found: len(found) >= 50)
        entry = eventually(lambda: sampling(obs), lambda e: e["received"] == 200)
        found = stored(obs)
        assert {trace: found.get(trace) for trace in range(1, 51)} == dict.fromkeys(range(1, 51), 2)
        assert entry["stored"] == sum(found.values())
        assert list((tmp_path / "data" / "sampling").glob("*.wal")) == []


def test_what_waits_is_stored_once_there_are_no_policies(tmp_path: Path) -> None:
    config = tmp_path / "obs.yml"
    config.write_text(CONFIG.format(wait="600s"))
    with ObsProcess(tmp_path / "data", "--config", str(config)) as obs:
        send(obs, range(1, 21))
        assert obs.process.poll() is None
        obs.kill()
        config.write_text("self: {trace_ratio: 0}\n")
        obs.start()
        assert stored(obs) == dict.fromkeys(range(1, 21), 2)
