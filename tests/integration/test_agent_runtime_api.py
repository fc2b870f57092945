"""Names, images and labels from a real Podman's API socket."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from otlp_sink import wait_until
from real_containers import Containers, real_containers, why_not

from obs.agent.own import OwnMetrics
from obs.agent.rootfs import HostRoot
from obs.agent.runtime.catalog import Catalog

pytestmark = pytest.mark.containers


@pytest.fixture
def containers() -> Iterator[Containers]:
    if reason := why_not():
        print(f"no container tests: {reason}")
        pytest.skip(reason)
    with real_containers() as made:
        yield made


def test_names_and_labels_through_the_socket(containers: Containers) -> None:
    try:
        container_id = containers.run("api", "sleep 300", "--label", "app.team=shop")
    except RuntimeError as e:
        print(f"no container tests: {e}")
        pytest.skip(f"podman cannot run here: {e}")
    with Serving(containers) as socket:
        catalog = Catalog(HostRoot(), OwnMetrics(), sockets=[socket])
        catalog.start()
        found = wait_until(lambda: catalog.by_id(container_id), "the container")
        catalog.stop()
    assert found.name == f"{containers.tag}-api" and found.runtime == "podman"
    assert found.labels["app.team"] == "shop"


class Serving:
    """`podman system service` while the block runs; its socket."""

    def __init__(self, containers: Containers) -> None:
        self._socket = containers.base / "podman.sock"
        self._process: subprocess.Popen[bytes] = containers.serve(self._socket)

    def __enter__(self) -> str:
        wait_until(self._socket.is_socket, "the socket")
        return str(self._socket)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
