"""The whole agent beside real containers: a throttled one, one near its limit, an OOM kill, and logs in pieces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from otlp_sink import OtlpSink, attributes, otlp_sink, wait_until
from real_containers import Containers, real_containers, why_not

pytestmark = pytest.mark.containers

TRACE = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\nValueError: bad 0'
LOGS = r"""
echo "INFO req 0"
printf 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\nValueError: bad 0\n' >&2
head -c 20000 /dev/zero | tr '\0' x; echo END
printf 'no newline yet'
sleep 300
"""


@dataclass
class Stage:
    """What the tests look at: the sink, and ids by role."""

    sink: OtlpSink
    containers: Containers
    ids: dict[str, str]
    pid: int

    def values(self, role: str, name: str, **labels: str) -> list[float]:
        return self.sink.values(name, container_id=self.ids[role], **labels)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    reason = why_not()
    if reason:
        print(f"no container tests: {reason}")
        pytest.skip(reason)
    with real_containers() as containers, otlp_sink() as sink:
        try:
            ids = {"cpu": containers.run("cpu", "while :; do :; done", "--cpus", "0.3", "--memory", "32m")}
        except (RuntimeError, subprocess.TimeoutExpired) as e:
            print(f"no container tests: {e}")
            pytest.skip(f"podman cannot run here: {e}")
        near = "dd if=/dev/zero of=/dev/shm/x bs=1M count=50 2>/dev/null; sleep 300"
        ids["near"] = containers.run("near", near, "--memory", "64m", "--memory-swap", "64m")
        ids["log"] = containers.run("log", LOGS)
        # The victim is a child, so that the container lives on and its counter can be read.
        ids["oom"] = containers.run("oom", "tail /dev/zero; sleep 300", "--memory", "16m", "--memory-swap", "16m")
        agent = _start_agent(containers, sink)
        try:
            yield Stage(sink, containers, ids, agent.pid)
        finally:
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(20) == 0


def _start_agent(containers: Containers, sink: OtlpSink) -> subprocess.Popen[bytes]:
    logs = f"{containers.storage}/vfs-containers/*/userdata/ctr.log"
    command = [sys.executable, "-m", "obs.agent", "--to", sink.target, "--interval", "0.5"]
    return subprocess.Popen([*command, "--logs", logs, "--data", str(containers.base / "agent")])


def grows(values: list[float]) -> bool:
    """A counter that was seen to rise and never to fall."""
    return len(values) >= 2 and values[-1] > values[0] and values == sorted(values)


def test_cpu_of_the_busy_container_grows(stage: Stage) -> None:
    wait_until(lambda: grows(stage.values("cpu", "container_cpu_usage_seconds_total")), "CPU time grows")
    wait_until(lambda: grows(stage.values("cpu", "container_cpu_user_seconds_total")), "user time grows")


def test_throttling_is_seen(stage: Stage) -> None:
    wait_until(lambda: grows(stage.values("cpu", "container_cpu_cfs_throttled_periods_total")), "throttled")
    assert stage.values("cpu", "container_cpu_cfs_throttled_seconds_total")[-1] > 0
    assert stage.values("cpu", "container_spec_cpu_quota")[-1] == 30000
    assert stage.values("near", "container_cpu_cfs_periods_total") == [], "no quota, no series"


def test_memory_and_its_limit(stage: Stage) -> None:
    limit = wait_until(lambda: stage.values("near", "container_spec_memory_limit_bytes"), "the limit")[-1]
    assert limit == 64 << 20
    wait_until(lambda: stage.values("near", "container_memory_usage_bytes")[-1] > 50 << 20, "usage near the limit")
    assert stage.values("near", "container_memory_working_set_bytes")[-1] <= limit


def test_the_oom_kill_is_seen(stage: Stage) -> None:
    wait_until(lambda: max(stage.values("oom", "container_oom_events_total"), default=0) >= 1, "an OOM kill")
    assert max(stage.values("cpu", "container_oom_events_total")) == 0


def test_the_oom_kill_of_a_whole_container_is_seen(stage: Stage) -> None:
    """Its cgroup is gone at once; the kernel's log still tells."""
    wait_until(lambda: stage.sink.metrics, "the agent works")
    victim = stage.containers.run("victim", "exec tail /dev/zero", "--memory", "16m", "--memory-swap", "16m")
    cgroup = stage.containers.cgroup(victim)
    wait_until(
        lambda: stage.sink.values("container_oom_events_total", id=cgroup, container_id=victim)[-1:] == [1.0], "it"
    )
    assert (stage.containers.base / "oom").exists(), "the monitor's word, in our folder"
    assert not Path("oom").exists(), "and not where the tests run"


def test_names_come_from_any_storage_root(stage: Stage) -> None:
    cgroup = stage.containers.cgroup(stage.ids["cpu"])
    wait_until(lambda: stage.sink.values("container_last_seen", id=cgroup), "the cgroup")
    (labels,) = {
        (ls["name"], ls["id"])
        for name, ls, _ in stage.sink.points()
        if name == "container_last_seen" and ls.get("container_id") == stage.ids["cpu"]
    }
    assert labels == (f"{stage.containers.tag}-cpu", cgroup), "named from the first scrape on"


def test_processes_and_pressure(stage: Stage) -> None:
    assert wait_until(lambda: stage.values("cpu", "container_processes"), "processes")[-1] == 1
    assert wait_until(lambda: stage.values("cpu", "container_pressure_cpu_waiting_seconds_total"), "pressure")[-1] > 0


def test_logs_in_pieces_and_over_lines(stage: Stage) -> None:
    log = {"container__id": stage.ids["log"]}

    def complete() -> bool:
        return len(stage.sink.bodies(**log)) >= 4

    wait_until(complete, "four records, the last without its newline")
    bodies = stage.sink.bodies(**log)
    assert sorted(bodies) == sorted(["INFO req 0", TRACE, "x" * 20000 + "END", "no newline yet"])
    assert stage.sink.bodies(**log, log__iostream="stderr") == [TRACE]
    ours = [(res, r) for res, r in stage.sink.records() if res.get("container.id") == stage.ids["log"]]
    by_body = {record.body.string_value: (resource, record) for resource, record in ours}
    resource, trace = by_body[TRACE]
    assert resource["container.name"] == resource["service.name"] == f"{stage.containers.tag}-log"
    assert resource["host.name"] == os.uname().nodename
    assert trace.severity_number == 17 and by_body["INFO req 0"][1].severity_number == 9
    assert attributes(trace.attributes)["log.file.name"] == "ctr.log"
    assert trace.time_unix_nano <= trace.observed_time_unix_nano


def test_the_agent_stays_small(stage: Stage) -> None:
    wait_until(lambda: len(stage.sink.values("process_resident_memory_bytes")) >= 4, "some scrapes")
    assert stage.sink.values("process_resident_memory_bytes")[-1] < 70 << 20
    with open(f"/proc/{stage.pid}/maps") as f:
        loaded = f.read()
    assert not [name for name in ("pyarrow", "numba", "llvmlite", "pandas", "numpy") if name in loaded]
