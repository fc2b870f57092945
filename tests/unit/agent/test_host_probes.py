"""Host probes on a recorded host: exact node_exporter names, labels and units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recorded_host import unpack_host

from obs.agent.host.disk import device_names, parse_diskstats
from obs.agent.host.filesystem import parse_mountinfo, wanted_mounts
from obs.agent.host.pressure import parse_pressure
from obs.agent.host.probes import HOST_PROBES
from obs.agent.rootfs import HostRoot

HOSTS = Path(__file__).parent / "hosts"

EXPECTED = [
    ("node_cpu_seconds_total", {"cpu": "0", "mode": "user"}, 9.64),
    ("node_cpu_seconds_total", {"cpu": "1", "mode": "steal"}, 0.87),
    ("node_cpu_guest_seconds_total", {"cpu": "0", "mode": "user"}, 0.1),
    ("node_context_switches_total", {}, 443846),
    ("node_forks_total", {}, 5671),
    ("node_intr_total", {}, 258983),
    ("node_boot_time_seconds", {}, 1795419512),
    ("node_procs_running", {}, 1),
    ("node_procs_blocked", {}, 2),
    ("node_load1", {}, 0.22),
    ("node_load15", {}, 0.02),
    ("node_memory_MemTotal_bytes", {}, 24684084 * 1024),
    ("node_memory_Active_anon_bytes", {}, 2048 * 1024),
    ("node_memory_HugePages_Total", {}, 4),
    ("node_vmstat_pgpgin", {}, 2356181),
    ("node_vmstat_oom_kill", {}, 3),
    ("node_disk_read_bytes_total", {"device": "vda"}, 3335434 * 512),
    ("node_disk_io_time_seconds_total", {"device": "vda"}, 8.432),
    ("node_disk_io_now", {"device": "vda"}, 1),
    ("node_disk_written_bytes_total", {"device": "sda"}, 16 * 512),
    ("node_network_receive_bytes_total", {"device": "eth0"}, 5000),
    ("node_network_receive_multicast_total", {"device": "eth0"}, 7),
    ("node_network_transmit_drop_total", {"device": "eth0"}, 4),
    ("node_network_up", {"device": "eth0"}, 1),
    ("node_network_up", {"device": "lo"}, 0),
    ("node_network_mtu_bytes", {"device": "eth0"}, 1500),
    ("node_sockstat_TCP_inuse", {}, 5),
    ("node_netstat_Tcp_CurrEstab", {}, 4),
    ("node_pressure_cpu_waiting_seconds_total", {}, 8.823564),
    ("node_pressure_io_stalled_seconds_total", {}, 5.02363),
    ("node_filefd_allocated", {}, 593),
    ("node_filefd_maximum", {}, 2466170),
]


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, frozenset[Any]], float]:
    root = HostRoot(unpack_host(HOSTS / "plain.txt", tmp_path_factory.mktemp("host")))
    samples = [s for _, probe in HOST_PROBES for s in probe(root)]
    keyed = {(s.name, frozenset(s.labels)): s.value for s in samples}
    assert len(keyed) == len(samples), "no series twice"
    return keyed


@pytest.mark.parametrize(("name", "labels", "value"), EXPECTED)
def test_values(values: dict[Any, float], name: str, labels: dict[str, str], value: float) -> None:
    assert values[name, frozenset(labels.items())] == pytest.approx(value)


def test_what_is_left_out(values: dict[Any, float]) -> None:
    names = {name for name, _ in values}
    devices = {dict(ls).get("device") for name, ls in values if name.startswith("node_disk")}
    assert devices == {"vda", "sda"}, "no loops, no partitions"
    assert "node_pressure_cpu_stalled_seconds_total" not in names
    assert "node_vmstat_nr_free_pages" not in names
    assert "node_network_speed_bytes" not in names, "an unknown speed is -1"
    assert ("node_cpu_seconds_total", frozenset({("cpu", ""), ("mode", "user")})) not in values


def test_uname_names_the_host_below_the_root(values: dict[Any, float]) -> None:
    (labels,) = [dict(ls) for name, ls in values if name == "node_uname_info"]
    assert labels["nodename"] == "db-7"
    assert {"sysname", "release", "machine"} <= set(labels)


def test_old_kernels_have_fewer_disk_columns() -> None:
    names = {s.name for s in parse_diskstats("8 0 sda 5 1 8 9 7 1 16 2 0 3 4")}
    assert "node_disk_io_time_weighted_seconds_total" in names
    assert "node_disk_discards_completed_total" not in names
    assert device_names("8 0 sda 5\n254 1 vda1 0") == {"8:0": "sda", "254:1": "vda1"}


@pytest.mark.parametrize("text", ["", "some", "some avg10=0", "what total=5", "some total=x"])
def test_broken_pressure_is_nothing(text: str) -> None:
    assert parse_pressure(text) == {}


MOUNTS = r"""
20 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
21 20 254:0 /data /srv/data rw,relatime - ext4 /dev/vda rw
22 20 254:16 / /mnt/with\040space ro,relatime - xfs /dev/vdb ro
23 20 0:21 / /proc rw - proc proc rw
24 20 0:33 / /run rw - tmpfs tmpfs rw
25 20 0:50 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
26 20 0:60 / /net rw - nfs4 server:/x rw
27 20 0:61 / /bucket rw - fuse.s3fs s3fs rw
broken line
"""


def test_bind_mounts_are_one_file_system() -> None:
    mounts = {m.point: m for m in wanted_mounts(parse_mountinfo(MOUNTS))}
    assert set(mounts) == {"/", "/mnt/with space", "/run"}
    assert mounts["/mnt/with space"].read_only and not mounts["/"].read_only


@pytest.mark.parametrize("kind", ["overlay", "fuse.fuse-overlayfs"])
def test_an_overlay_counts_only_as_root(kind: str) -> None:
    text = f"20 1 0:50 / / rw - {kind} overlay rw\n21 20 0:51 / /x rw - {kind} overlay rw"
    assert [m.point for m in wanted_mounts(parse_mountinfo(text))] == ["/"]


def test_this_machine_has_the_dashboards_series() -> None:
    names = {s.name for _, probe in HOST_PROBES for s in probe(HostRoot())}
    assert {
        "node_cpu_seconds_total",
        "node_memory_MemAvailable_bytes",
        "node_load1",
        "node_filesystem_avail_bytes",
        "node_network_receive_bytes_total",
        "node_time_seconds",
        "node_boot_time_seconds",
    } <= names
