"""cgroups on recorded v1, v2 and hybrid hosts: cAdvisor's names, units, and what is absent."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_host import unpack_host

from obs.agent.cgroup.hierarchy import find_hierarchies, list_cgroups
from obs.agent.cgroup.oom import OomWatch, oom_cgroup
from obs.agent.cgroup.parse import parse_blkio, parse_cpu_max, parse_flat, parse_number, weight_to_shares
from obs.agent.cgroup.probe import CgroupProbe
from obs.agent.rootfs import HostRoot
from obs.agent.runtime.container import Container
from obs.agent.runtime.identify import identify

HOSTS = Path(__file__).parent / "hosts"
A, B, C = "aa" * 32, "bb" * 32, "cc" * 32
PODMAN_V2 = f"/machine.slice/libpod-{A}.scope"
DOCKER_V2 = f"/system.slice/docker-{B}.scope"
POD = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod11111111_2222_3333_4444_555555555555.slice"
CRI_V2 = f"{POD}/cri-containerd-{C}.scope"
DOCKER_V1 = f"/docker/{B}"
PODMAN_HYBRID = f"/libpod_parent/libpod-{A}"

V1 = {
    "container_cpu_usage_seconds_total": 0.683940843,
    "container_cpu_user_seconds_total": 0.66,
    "container_cpu_system_seconds_total": 0.01,
    "container_cpu_cfs_periods_total": 22,
    "container_cpu_cfs_throttled_periods_total": 21,
    "container_cpu_cfs_throttled_seconds_total": 1.405545755,
    "container_spec_cpu_quota": 30000,
    "container_spec_cpu_period": 100000,
    "container_spec_cpu_shares": 512,
    "container_memory_usage_bytes": 1048576,
    "container_memory_working_set_bytes": 1048576 - 204800,
    "container_memory_rss": 61440,
    "container_memory_cache": 409600,
    "container_memory_swap": 4096,
    "container_memory_max_usage_bytes": 2097152,
    "container_memory_failcnt": 3,
    "container_oom_events_total": 2,
    "container_spec_memory_limit_bytes": 33554432,
    "container_spec_memory_swap_limit_bytes": 0,
    "container_fs_reads_bytes_total": 2048,
    "container_fs_writes_total": 4,
    "container_threads": 7,
    "container_processes": 2,
}

EXPECTED = {
    ("v1", DOCKER_V1): V1,
    ("hybrid", PODMAN_HYBRID): {
        **V1,
        "container_pressure_memory_waiting_seconds_total": 0.5,
        "container_pressure_memory_stalled_seconds_total": 0.25,
    },
    ("v2", PODMAN_V2): {
        "container_cpu_usage_seconds_total": 2.681387,
        "container_cpu_user_seconds_total": 2.301906,
        "container_cpu_system_seconds_total": 0.37948,
        "container_cpu_cfs_periods_total": 90,
        "container_cpu_cfs_throttled_periods_total": 87,
        "container_cpu_cfs_throttled_seconds_total": 5.217025,
        "container_spec_cpu_quota": 30000,
        "container_spec_cpu_period": 100000,
        "container_spec_cpu_shares": 2597,
        "container_memory_usage_bytes": 196608,
        "container_memory_working_set_bytes": 196608 - 36864,
        "container_memory_max_usage_bytes": 524288,
        "container_memory_rss": 61440,
        "container_memory_cache": 40960,
        "container_memory_swap": 4096,
        "container_oom_events_total": 0,
        "container_spec_memory_limit_bytes": 33554432,
        "container_pressure_cpu_waiting_seconds_total": 4.758956,
        "container_threads": 1,
        "container_threads_max": 2048,
        "container_processes": 1,
    },
    ("v2", DOCKER_V2): {
        "container_oom_events_total": 1,
        "container_memory_failcnt": 18,
        "container_spec_memory_limit_bytes": 0,
        "container_pressure_memory_stalled_seconds_total": 0.012132,
    },
    ("v2", CRI_V2): {
        "container_fs_reads_bytes_total": 2048,
        "container_fs_writes_bytes_total": 4194304,
        "container_fs_reads_total": 2,
        "container_fs_writes_total": 4,
        "container_network_receive_bytes_total": 1500,
        "container_network_receive_errors_total": 1,
        "container_network_transmit_packets_dropped_total": 4,
        "container_processes": 2,
    },
}


def lookup(cgroup: str, pids: list[int]) -> Container | None:
    found = identify(cgroup)
    if found is None:
        return None
    return Container(found.id, found.runtime, name="web-1", image="nginx:1", labels={"app.kubernetes.io/name": "web"})


def probe_of(kind: str, tmp_path: Path) -> CgroupProbe:
    return CgroupProbe(HostRoot(unpack_host(HOSTS / f"{kind}.txt", tmp_path)), lookup)


@pytest.mark.parametrize(("kind", "cgroup"), EXPECTED)
def test_values(kind: str, cgroup: str, tmp_path: Path) -> None:
    probe = probe_of(kind, tmp_path)
    got = {s.name: s.value for s in probe.samples() if dict(s.labels)["id"] == cgroup}
    wanted = EXPECTED[kind, cgroup]
    assert {name: got.get(name) for name in wanted} == pytest.approx(wanted)
    assert probe.kind == kind
    assert {"container_last_seen", "container_start_time_seconds"} <= set(got)


def test_labels(tmp_path: Path) -> None:
    samples = probe_of("v2", tmp_path).samples()
    by_name = {s.name: dict(s.labels) for s in samples if dict(s.labels)["id"] == CRI_V2}
    base = {
        "id": CRI_V2,
        "name": "web-1",
        "image": "nginx:1",
        "container_id": C,
        "container_label_app_kubernetes_io_name": "web",
    }
    assert by_name["container_last_seen"] == base
    assert by_name["container_cpu_usage_seconds_total"] == {**base, "cpu": "total"}
    assert by_name["container_fs_reads_total"] == {**base, "device": "/dev/vda"}
    assert by_name["container_network_receive_bytes_total"] == {**base, "interface": "eth0"}


def test_no_limit_no_throttling_series(tmp_path: Path) -> None:
    names = {s.name for s in probe_of("v2", tmp_path).samples() if dict(s.labels)["id"] == DOCKER_V2}
    assert not [n for n in names if "cfs" in n] and "container_spec_cpu_quota" not in names


def test_plain_cgroups_have_only_an_id(tmp_path: Path) -> None:
    samples = probe_of("v2", tmp_path).samples()
    assert {tuple(dict(s.labels)) for s in samples if s.name == "container_cpu_user_seconds_total"} >= {("id",)}
    inner = [s for s in samples if dict(s.labels)["id"] == PODMAN_V2 + "/container"]
    assert inner and all("name" not in dict(s.labels) for s in inner)


def test_no_series_twice(tmp_path: Path) -> None:
    for kind in ("v1", "v2", "hybrid"):
        samples = probe_of(kind, tmp_path / kind).samples()
        assert len({(s.name, s.labels) for s in samples}) == len(samples)


def test_more_cgroups_than_the_limit_are_counted(tmp_path: Path) -> None:
    root = HostRoot(unpack_host(HOSTS / "v2.txt", tmp_path))
    ids, skipped = list_cgroups(find_hierarchies(root), 3)
    assert ids[0] == "/" and len(ids) == 3 and skipped > 0


def test_start_time_stays(tmp_path: Path) -> None:
    probe = probe_of("v1", tmp_path)

    def start() -> list[float]:
        return [s.value for s in probe.samples() if s.name == "container_start_time_seconds"]

    first = start()
    for path in tmp_path.rglob("*"):
        if path.is_dir():
            (path / "touched").touch()
    assert start() == first


@pytest.mark.parametrize(
    ("text", "value"),
    [("5\n", 5), ("max\n", None), ("9223372036854771712", None), ("", None), (None, None), ("-1", -1)],
)
def test_numbers(text: str | None, value: int | None) -> None:
    assert parse_number(text) == value


def test_odd_texts() -> None:
    assert parse_flat("a 1\nb\nc x\nd 4 5\n") == {"a": 1}
    assert parse_cpu_max("max 100000") == (None, 100000)
    assert parse_cpu_max("") == (None, None)
    assert parse_blkio("8:0 Read 5\nTotal 5\n") == {"8:0": {"Read": 5}}
    assert weight_to_shares(1) == 2 and weight_to_shares(10000) == 262144


IDS = [
    ("/docker/" + A, "docker", ""),
    (f"/system.slice/docker-{A}.scope", "docker", ""),
    (f"/libpod_parent/libpod-{A}", "podman", ""),
    (f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope", "podman", ""),
    (f"/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/{A}", "cri", "11111111-2222-3333-4444-555555555555"),
    (f"{POD}/cri-containerd-{A}.scope", "containerd", "11111111-2222-3333-4444-555555555555"),
    (f"{POD}/crio-{A}.scope", "cri-o", "11111111-2222-3333-4444-555555555555"),
    (f"/default/{A}", "containerd", ""),
]


@pytest.mark.parametrize(("cgroup", "runtime", "pod"), IDS)
def test_identify(cgroup: str, runtime: str, pod: str) -> None:
    found = identify(cgroup)
    assert found is not None
    assert (found.runtime, found.id, found.pod_uid) == (runtime, A, pod)


@pytest.mark.parametrize(
    "cgroup",
    ["/", "/system.slice", f"/libpod_parent/libpod-conmon-{A}", f"{POD}/crio-conmon-{A}.scope", f"/docker/{A}/init",
     "/docker/short", f"/x/{A[:40]}"],
)  # fmt: skip
def test_not_a_container(cgroup: str) -> None:
    assert identify(cgroup) is None


def test_lxc() -> None:
    found = identify("/lxc.payload.web")
    assert found is not None and (found.runtime, found.id) == ("lxc", "web")


def test_oom_kills_in_the_kernels_log() -> None:
    record = (
        "6,812,5331747406,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,"
        f"oom_memcg=/t,task_memcg=/t/libpod-{A},task=tail,pid=6605,uid=0\n"
    )
    assert oom_cgroup(record) == f"/t/libpod-{A}"
    assert oom_cgroup("6,1,2,-;Memory cgroup out of memory: Killed process 6605 (tail)") is None


def test_oom_kills_of_vanished_cgroups(tmp_path: Path) -> None:
    """A file stands for the kernel's log here: one record to a read does not matter to a single record."""
    probe = probe_of("v2", tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kmsg").touch()
    probe.oom = OomWatch(probe.root)
    probe.oom.open()
    gone = f"/machine.slice/libpod-{'dd' * 32}.scope"
    for _ in range(2):
        with open(tmp_path / "dev/kmsg", "a") as f:
            f.write(f"6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/x,task_memcg={gone},task=a,pid=1,uid=0\n")
        samples = [s for s in probe.samples() if s.name == "container_oom_events_total" and ("id", gone) in s.labels]
    probe.oom.close()
    assert [(s.value, dict(s.labels)["container_id"]) for s in samples] == [(2, "dd" * 32)]
