"""Names of containers from what runtimes write down, and from a catalog that never waits for long."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from obs.agent.otlp_logs import container_resource
from obs.agent.own import OwnMetrics
from obs.agent.rootfs import HostRoot
from obs.agent.runtime import sources
from obs.agent.runtime.api import from_api
from obs.agent.runtime.catalog import Catalog, merge
from obs.agent.runtime.container import Container, container_labels

A, B = "aa" * 32, "bb" * 32
DOCKER = {
    "ID": A,
    "Name": "/web",
    "State": {"StartedAt": "2026-11-23T09:07:23.123456789Z"},
    "Config": {"Image": "nginx:1", "Labels": {"com.docker.compose.service": "front"}},
    "LogPath": f"/var/lib/docker/containers/{A}/{A}-json.log",
}
PODMAN = [{"id": B, "names": ["db"], "metadata": '{"image-name":"docker.io/library/postgres:17"}'}]
MONITOR = [
    "/usr/bin/conmon",
    "-c",
    A,
    "-b",
    "/x",
    "-n",
    "web",
    "-l",
    "k8s-file:/x/ctr.log",
    "--exit-command-arg",
    "-c",
    "no",
]


def put(root: Path, path: str, text: str) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_docker_files() -> None:
    container = sources.parse_docker_config(json.dumps(DOCKER))
    assert container == Container(
        A, "docker", "web", "nginx:1", {"com.docker.compose.service": "front"}, 1795424843.123456, DOCKER["LogPath"]
    )
    assert container.service == "front"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"ID": 5, "State": 7}', '{"Config": {}}'])
def test_odd_docker_files_are_nothing(text: str) -> None:
    assert sources.parse_docker_config(text) is None


def test_podman_files() -> None:
    (container,) = sources.parse_podman_containers(json.dumps(PODMAN), "/s/overlay-containers")
    assert (container.name, container.image) == ("db", "docker.io/library/postgres:17")
    assert container.log_path == f"/s/overlay-containers/{B}/userdata/ctr.log"
    assert sources.parse_podman_containers("", "/s") == [] == sources.parse_podman_containers("[{}]", "/s")


def test_monitor() -> None:
    container = sources.parse_monitor(MONITOR, A)
    assert container == Container(A, "podman", "web", log_path="/x/ctr.log")
    assert sources.parse_monitor(MONITOR, B) is None
    journald = sources.parse_monitor([*MONITOR[:7], "-l", "journald"], A)
    assert journald is not None and journald.log_path == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2026-11-23T09:07:23Z", 1795424843.0), ("0001-01-01T00:00:00Z", 0.0), ("", 0.0), ("soon", 0.0)],
)
def test_times(text: str, seconds: float) -> None:
    assert sources.iso_seconds(text) == seconds


def test_kubernetes_names(tmp_path: Path) -> None:
    folder = tmp_path / "var/log/containers"
    folder.mkdir(parents=True)
    (folder / f"web-1_shop_nginx-{A}.log").symlink_to("/var/log/pods/shop_web-1_uid/nginx/0.log")
    (folder / "odd.log").touch()
    (container,) = sources.from_log_links(HostRoot(tmp_path))
    assert container.id == A and container.log_path == "/var/log/pods/shop_web-1_uid/nginx/0.log"
    assert container.labels == sources.pod_labels(container.log_path)
    resource = container_resource(container)
    assert (resource["k8s.namespace.name"], resource["k8s.pod.name"], resource["service.name"]) == (
        "shop",
        "web-1",
        "nginx",
    )


def test_ids_in_paths() -> None:
    assert sources.id_in_path(f"/var/lib/docker/containers/{A}/{A}-json.log") == A
    assert sources.id_in_path("/var/log/syslog") == "" == sources.id_in_path(f"/x/{A}a.log")


def test_api() -> None:
    value = {"Id": A, "Names": ["/web"], "Image": "nginx", "Labels": None}
    assert from_api(value, "docker") == Container(A, "docker", "web", "nginx", {})


def test_labels_are_bounded_and_unique() -> None:
    many = {f"a.{i}": "v" for i in range(100)} | {"a-b": "1", "a.b": "2", "long": "x" * 5000}
    labels = container_labels(Container(A, "docker", labels=many))
    assert len(labels) <= 26 and len({k for k, _ in labels}) == len(labels)
    assert container_labels(Container(A, "docker", labels={"l": "x" * 5000}))[-1] == ("container_label_l", "x" * 256)
    assert dict(container_labels(Container(A, "docker")))["name"] == A[:12] and container_labels(None) == ()


def test_merge() -> None:
    both = merge(
        Container(A, "cri", name="a", labels={"x": "1"}), Container(A, "containerd", image="i", labels={"y": "2"})
    )
    assert both == Container(A, "containerd", "a", "i", {"x": "1", "y": "2"})


def test_lookup_reads_local_files(tmp_path: Path) -> None:
    put(tmp_path, f"/var/lib/docker/containers/{A}/config.v2.json", json.dumps(DOCKER))
    put(tmp_path, "/proc/77/status", "Name:\tsh\nPPid:\t70\n")
    put(tmp_path, "/proc/70/cmdline", "\0".join([*MONITOR[:2], B, *MONITOR[3:]]))
    catalog = Catalog(HostRoot(tmp_path), OwnMetrics())
    found = catalog.lookup(f"/docker/{A}", [])
    assert found is not None and found.name == "web"
    found = catalog.lookup(f"/p/libpod-{B}", [77])
    assert found is not None and (found.name, found.log_path) == ("web", "/x/ctr.log")
    assert catalog.lookup("/system.slice", [1]) is None
    known = catalog.by_log_path("/x/ctr.log")
    assert known is not None and known.id == B and catalog.by_id("cc" * 32) is None


def test_podman_roots_are_asked_in_the_background(tmp_path: Path) -> None:
    put(tmp_path, "/s/overlay-containers/containers.json", json.dumps(PODMAN))
    catalog = Catalog(HostRoot(tmp_path), OwnMetrics(), podman_roots=["/s", "/none"])
    catalog.start()
    catalog.settle([B], 10.0)
    found = catalog.lookup(f"/x/libpod-{B}", [])
    catalog.stop()
    assert found is not None and found.name == "db"
    assert catalog.log_paths() == [f"/s/overlay-containers/{B}/userdata/ctr.log"]


def test_a_hanging_runtime_does_not_hold_anybody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that takes connections and never answers."""
    monkeypatch.chdir(tmp_path)  # paths of Unix sockets are short
    monkeypatch.setattr("obs.agent.runtime.api.RUNTIME_TIMEOUT_S", 0.2)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("docker.sock")
    listener.listen()
    own = OwnMetrics()
    catalog = Catalog(HostRoot(tmp_path), own, sockets=["/docker.sock"])
    catalog.start()
    catalog.settle([A], 0.05)
    found = catalog.lookup(f"/docker/{A}", [])
    assert found is not None and found.id == A and found.name == ""
    deadline = time.monotonic() + 20
    while not own.value("obs_agent_runtime_failures_total", socket="/docker.sock"):
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
    catalog.stop()
    listener.close()
