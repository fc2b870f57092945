"""The agent as a process against a server that goes away, is busy, and comes back; and the agent killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from otlp_sink import attributes, otlp_sink, wait_until

from obs.agent.limits import REFUSED_TRIES_MAX
from obs.agent.main import run
from obs.errors import UserError

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts agents that follow `*.log` of the test's folder; ends those that still run."""
    started: list[subprocess.Popen[bytes]] = []

    def launch(target: str, **kwargs: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "obs.agent", "--to", target, "--interval", "0.3", "--no-container-logs"]
        command += ["--logs", f"{tmp_path}/*.log", "--data", str(tmp_path / "data")]
        started.append(subprocess.Popen(command, **kwargs))
        return started[-1]

    yield launch
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def write(path: Path, lines: range) -> list[str]:
    texts = [f"line {n}" for n in lines]
    with open(path, "a") as f:
        f.writelines(f"{text}\n" for text in texts)
    return texts


def test_what_happens_while_the_server_is_away_arrives_later(tmp_path: Path, start: Start) -> None:
    log = tmp_path / "app.log"
    written = write(log, range(100))
    with otlp_sink() as sink:
        agent = start(sink.target)
        wait_until(lambda: len(sink.bodies()) >= 100, "the first lines")
        before = len(sink.metrics)
        port = sink.port
    written += write(log, range(100, 200))
    wait_until(lambda: list(tmp_path.glob("data/spool/logs/*.req")), "logs on disk")
    wait_until(lambda: len(list(tmp_path.glob("data/spool/metrics/*.req"))) >= 3, "metrics on disk")
    log.rename(tmp_path / "app.log.1")
    written += write(log, range(200, 300))
    with otlp_sink(port) as again:
        wait_until(lambda: len(again.bodies()) >= 200, "the rest")
        wait_until(lambda: not list(tmp_path.glob("data/spool/*/*.req")), "an empty spool")
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(20) == 0
        assert sorted(sink.bodies() + again.bodies()) == sorted(written), "nothing lost, nothing twice"
        times = [
            r.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].time_unix_nano for r in again.metrics
        ]
        assert times == sorted(times) and before > 0


def test_a_killed_agent_loses_nothing(tmp_path: Path, start: Start) -> None:
    log = tmp_path / "app.log"
    written: list[str] = []
    with otlp_sink() as sink:
        for life in range(4):
            written += write(log, range(life * 500, life * 500 + 500))
            agent = start(sink.target)
            wait_until(lambda life=life: len(set(sink.bodies())) >= life * 400 + 100, "some lines")
            agent.kill()
            agent.wait()
        start(sink.target)
        wait_until(lambda: set(sink.bodies()) == set(written), "every line, at least once")


def test_an_orderly_restart_repeats_nothing(tmp_path: Path, start: Start) -> None:
    log = tmp_path / "app.log"
    with otlp_sink() as sink:
        written = write(log, range(50))
        for life in range(1, 4):
            agent = start(sink.target)
            wait_until(lambda n=len(written): len(sink.bodies()) >= n, "all lines")
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(20) == 0
            written += write(log, range(life * 50, life * 50 + 50))
        assert sorted(sink.bodies()) == sorted(written[:150])


def test_a_busy_server_is_asked_again(tmp_path: Path, start: Start) -> None:
    delay = AnyMessage()
    delay.Pack(RetryInfo(retry_delay=Duration(nanos=50_000_000)))
    status = Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="full", details=[delay])
    times = REFUSED_TRIES_MAX + 1  # one more than would do without a hint when to come back
    refusals = iter(range(times))

    def answer(signal_name: str, context: Any) -> None:
        if signal_name == "logs" and next(refusals, None) is not None:
            context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")

    written = write(tmp_path / "app.log", range(10))
    with otlp_sink(answer=answer) as sink:
        start(sink.target)
        wait_until(lambda: len(sink.bodies()) >= 10, "all lines")
        assert sink.bodies() == written and next(refusals, None) is None
        failures = {"signal": "logs", "code": "RESOURCE_EXHAUSTED"}
        wait_until(lambda: float(times) in sink.values("obs_agent_send_failures_total", **failures), "the count")


def test_resource_and_attributes(tmp_path: Path, start: Start) -> None:
    (tmp_path / "app.log").write_text("2026-11-23T09:07:23.5Z ERROR trace_id=0af7651916cd43dd8448eb211c80319c broken\n")
    with otlp_sink() as sink:
        start(sink.target)
        ((resource, record),) = wait_until(sink.records, "the record")
        assert resource["service.name"] == "obs-agent" and resource["service.instance.id"] == resource["host.name"]
        assert attributes(record.attributes) == {"log.file.path": f"{tmp_path}/app.log", "log.file.name": "app.log"}
        assert record.time_unix_nano == 1_795_424_843_500_000_000 and record.severity_text == "ERROR"
        assert record.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
        names = {name for name, _, _ in wait_until(lambda: list(sink.points()), "metrics")}
        assert {"node_cpu_seconds_total", "obs_agent_scrape_duration_seconds", "process_cpu_seconds_total"} <= names


def test_one_data_folder_one_agent(tmp_path: Path, start: Start) -> None:
    with otlp_sink() as sink:
        start(sink.target)
        wait_until(lambda: sink.metrics, "the first agent works")
        second = start(sink.target, stderr=subprocess.PIPE)
        _, said = second.communicate(timeout=20)
        assert second.returncode == 2
        assert said.decode().strip().endswith("another agent runs on it; stop it or give another --data")


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """A shell starts the agent and is killed, as a server may be."""
    command = (
        f"{sys.executable} -m obs.agent --with-parent --to 127.0.0.1:1 --logs {tmp_path}/none --data {tmp_path}/data"
    )
    shell = subprocess.Popen(["/bin/sh", "-c", f"{command} & echo $!; wait"], stdout=subprocess.PIPE)
    assert shell.stdout is not None
    agent = int(shell.stdout.readline())
    wait_until((tmp_path / "data/lock").exists, "the agent works")
    shell.kill()
    shell.wait()
    wait_until(lambda: not Path(f"/proc/{agent}/exe").exists() or _is_defunct(agent), "the agent has ended")


def _is_defunct(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


@pytest.mark.parametrize(("to", "interval"), [("nowhere", 1.0), ("localhost:4317", 0.0)])
def test_wrong_arguments_are_told(tmp_path: Path, to: str, interval: float) -> None:
    with pytest.raises(UserError, match="cannot .*; give"):
        run(to, interval_s=interval, data_dir=tmp_path, log_globs=[], stop=threading.Event())
