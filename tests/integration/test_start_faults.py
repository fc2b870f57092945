"""What `obs up` says when it cannot start, and what a server does when its disk fills: words, never a traceback."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import obs_command
import pytest
from obs_process import ObsProcess, eventually
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from obs.warm import KERNEL_MODULES

USAGE = 2
FREE = ("--listen", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--no-agent")


def up(*options: str) -> subprocess.CompletedProcess[str]:
    """A start that ends by itself, as a process: what has begun by then ends as well."""
    argv = [sys.executable, "-m", "obs.cli.main", "up", *options]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def up_here(*options: str) -> obs_command.Done:
    """A start that ends before anything has begun."""
    return obs_command.obs("up", *options)


def refused(done: subprocess.CompletedProcess[str] | obs_command.Done, *words: str) -> None:
    assert (done.returncode, "Traceback" in done.stderr) == (USAGE, False), done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("option", ["--listen", "--otlp-grpc", "--otlp-http"])
def test_a_port_in_use(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        options = dict(zip(FREE[:6:2], FREE[1:6:2], strict=True)) | {option: address}
        words = [w for pair in options.items() for w in pair]
        start = up if option == "--otlp-grpc" else up_here
        refused(start("--data", str(tmp_path), "--no-agent", *words), address, option)


def test_a_second_obs_on_the_folder(tmp_path: Path) -> None:
    with ObsProcess(tmp_path / "data") as first:
        refused(up_here("--data", str(first.data), *FREE), "has it open", str(first.process.pid))
        assert first.client.ready()


def test_an_unknown_key_and_an_unreadable_file(tmp_path: Path) -> None:
    config = tmp_path / "obs.yml"
    config.write_text("retention: 3d\n")
    refused(up_here("--config", str(config), *FREE), "retention:", "known keys")
    refused(up_here("--config", str(tmp_path / "none.yml"), *FREE), "none.yml")


def test_a_faulty_rule_names_file_and_place(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{alert: A, expr: 'sum('}]}]\n")
    config = tmp_path / "obs.yml"
    config.write_text(f"rule_files: [{tmp_path}/rules.yml]\n")
    refused(up_here("--data", str(tmp_path / "data"), "--config", str(config), *FREE), "g.A.expr", "rules.yml")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount") or "mount"
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_read_only_folder(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused(up_here("--data", str(small_disk / "data"), *FREE), "data:", "--data")
    refused(up_here("--data", str(small_disk), *FREE), "writable")


def body(first: int) -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "full"
    records = resource.scope_logs.add().log_records
    for n in range(first, first + 100):
        records.add(time_unix_nano=10**18 + n).body.string_value = f"{n} " + "x" * 1000
    return request.SerializeToString()


def post(obs: ObsProcess, data: bytes) -> int:
    address = urlparse(obs.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.request("POST", "/v1/logs", data, {"Content-Type": "application/x-protobuf"})
    return connection.getresponse().status


def test_a_full_disk_refuses_and_serves_on(small_disk: Path) -> None:
    with ObsProcess(small_disk / "data") as obs:
        stored = 0
        for number in range(400):
            status = post(obs, body(100 * number))
            if status != 200:
                break
            stored += 100
        assert status == 503
        assert stored > 1000
        count = "SELECT count(*) FROM logs WHERE \"resource.service.name\" = 'full'"
        assert obs.client.sql(count)["rows"] == [[stored]]
        assert obs.client.ready()
        obs.kill()
        obs.start()
        assert eventually(lambda: obs.client.sql(count)["rows"][0][0], lambda n: n == stored) == stored


def test_a_stop_does_not_wait_for_kernels_in_compilation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    with ObsProcess(tmp_path / "data") as obs:
        assert obs.stop() == 0
    compiled = [path.stem for path in tmp_path.rglob("*.compiled")]
    assert len(compiled) < len(KERNEL_MODULES)
