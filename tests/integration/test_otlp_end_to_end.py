"""The OpenTelemetry SDK's own exporters into a real obs: each signal is found again by API and command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import obs_command
import pytest
from obs_process import ObsProcess, eventually
from sdk_sender import Sent


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    with ObsProcess(tmp_path_factory.mktemp("end-to-end") / "data") as process:
        yield process


@pytest.fixture(scope="module", params=["grpc", "http"])
def sent(request: pytest.FixtureRequest, obs: ObsProcess) -> Sent:
    return Sent(obs, request.param)


def test_metrics_by_prometheus_names(obs: ObsProcess, sent: Sent) -> None:
    result = obs.client.prometheus.query(f'shop_orders_total{{job="{sent.service}"}}')
    (element,) = eventually(lambda: obs.client.prometheus.query(f'shop_orders_total{{job="{sent.service}"}}').result)
    assert result.kind == "vector"
    assert element["metric"]["outcome"] == "done"
    assert element["value"][1] == "3"
    quantile = f'histogram_quantile(0.5, shop_duration_seconds_bucket{{job="{sent.service}"}})'
    assert obs.client.prometheus.query(quantile).result[0]["value"][1] == "2.5"  # the first default bucket ends at 5
    assert obs.client.prometheus.query(f'shop_queue{{job="{sent.service}"}}').result[0]["value"][1] == "5"


def test_logs_by_service_and_by_text(obs: ObsProcess, sent: Sent) -> None:
    for query in (f'{{service_name="{sent.service}"}}', f'{{service_name=~"shop.*"}} |= "{sent.text}"'):
        result = obs.client.loki.query_range(query, 0, 2**62, limit=10)
        lines = [entry[1] for stream in result.result for entry in stream["values"]]
        assert lines == [sent.text]


def test_a_trace_by_id_and_by_search(obs: ObsProcess, sent: Sent) -> None:
    found = obs.client.traces.trace(sent.trace_id)
    assert [s["name"] for s in found["spans"]] == ["place order"]
    hits = obs.client.traces.search(service=sent.service, operation="place order", tags={"shop.order": "7"})
    assert [h["traceId"] for h in hits] == [sent.trace_id]
    assert sent.service in obs.client.traces.services()


def test_sql_joins_logs_and_spans(obs: ObsProcess, sent: Sent) -> None:
    answer = obs.client.sql(
        "SELECT s.name, l.body FROM spans s JOIN logs l ON l.trace_id = s.trace_id "
        f"WHERE s.\"resource.service.name\" = '{sent.service}'"
    )
    assert answer["rows"] == [["place order", sent.text]]
    counted = obs.client.sql(f"SELECT count(*) FROM metrics WHERE labels['job'] = '{sent.service}'")
    assert counted["rows"][0][0] > 3


@pytest.mark.parametrize("flushed", [False, True])
def test_the_command_line_finds_each(obs: ObsProcess, sent: Sent, flushed: bool) -> None:
    if flushed:
        obs.client.flush()
    query = json.loads(run(obs, "query", f'shop_orders_total{{job="{sent.service}"}}', "-o", "json"))
    assert query["result"][0]["value"][1] == "3"
    assert sent.text in run(obs, "logs", f'{{service_name="{sent.service}"}}')
    assert "place order" in run(obs, "trace", sent.trace_id)
    rows = run(obs, "sql", f"SELECT count(*) AS n FROM spans WHERE trace_id = '{sent.trace_id}'", "-o", "csv")
    assert rows.split() == ['"n"', "1"]
    assert "error" not in run(obs, "doctor")
    for start in (("--start", "-5m"), ()):
        words = ["query", f'shop_orders_total{{job="{sent.service}"}}', *start, "--graph", "--server", obs.url]
        drawn = subprocess.run([sys.executable, "-m", "obs.cli.main", *words], capture_output=True, text=True)
        assert "┤" in drawn.stdout and sent.service in drawn.stdout
        assert ("drawing one hour" in drawn.stderr) is not bool(start)


def test_the_command_line_analyses_traces(obs: ObsProcess, sent: Sent) -> None:
    of_it = ("--service", sent.service, "--start", "-1h", "--end", "now")
    assert sent.trace_id in run(obs, "trace", "search", '{ name = "place order" }', *of_it)
    plan = run(obs, "trace", "search", "({ status = error } | count() > 2) >> { kind = client }", "--explain")
    assert "join spansets by >>" in plan and "filter spans { kind = client }" in plan
    assert "place order" in run(obs, "trace", "path", *of_it)
    assert "place order" in run(obs, "trace", "path", "--trace", sent.trace_id)
    assert f"{sent.service} place order" in run(obs, "trace", "flame", *of_it)
    assert run(obs, "trace", "flame", "--folded", *of_it).startswith(f"{sent.service} ")
    assert "place order" in run(obs, "trace", "compare", sent.trace_id, sent.trace_id)
    assert json.loads(run(obs, "trace", "graph", *of_it, "-o", "json"))["edges"] == []
    assert json.loads(run(obs, "trace", "differences", *of_it, "--failed", "-o", "json"))["differences"] == []
    related = json.loads(run(obs, "trace", "related", sent.trace_id, "-o", "json"))
    found = obs.client.loki.query_range(related["logs"]["query"], 0, 2 * 10**18)
    assert sent.text in str(found)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("query", "sum("), 2, "1:"),
        (("trace", "0" * 32), 2, "trace id"),
        (("trace", "ab" * 16), 4, "ab" * 16),
        (("trace", "path", "{ x", "--start", "-1h"), 2, "1:"),
        (("trace", "flame", "--service", "nobody"), 4, "finds none"),
        (("sql", "DROP TABLE spans"), 2, "only reads"),
        (("logs", '{a="b"'), 2, "1:"),
        (("query", "up", "--time", "soon"), 2, "'soon'"),
    ],
)
def test_faulty_commands_say_why(obs: ObsProcess, words: tuple[str, ...], code: int, said: str) -> None:
    done = obs_command.obs(*words, server=obs.url)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert said in done.stderr


def test_no_server_is_told() -> None:
    argv = [sys.executable, "-m", "obs.cli.main", "query", "up"]
    env = {**os.environ, "OBS_SERVER": "http://127.0.0.1:9"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "obs up" in done.stderr


def run(obs: ObsProcess, *words: str) -> str:
    done = obs_command.obs(*words, server=obs.url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_own_telemetry_and_ledger(obs: ObsProcess, sent: Sent) -> None:
    names = eventually(lambda: obs.client.prometheus.query('obs_received_total{job="obs"}').result)
    assert names
    for entry in obs.client.status()["ledger"]:
        assert entry["received"] == entry["stored"] + sum(entry["dropped"].values()), entry


def test_it_stops_cleanly_and_comes_back_with_everything(tmp_path: Path) -> None:
    with ObsProcess(tmp_path / "data") as process:
        sent = Sent(process, "grpc")
        assert process.stop() == 0
        assert "Traceback" not in (tmp_path / "data.log").read_text()
        process.start()
        assert process.client.traces.trace(sent.trace_id)["spans"][0]["name"] == "place order"
        assert process.client.prometheus.query(f'shop_queue{{job="{sent.service}"}}').result
