"""Logs from programs and libraries that people use: what they send is found, unchanged clients and all."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import logging_loki
import pytest
from debian_programs import libraries, program
from docker_daemon import DockerDaemon
from elasticsearch import Elasticsearch, helpers
from fluent import asyncsender, sender
from obs_process import ObsProcess, eventually

CONFIG = """
receivers:
  elasticsearch: {listen: "127.0.0.1:0"}
  fluent: {listen: "127.0.0.1:0"}
  syslog: {tcp: "127.0.0.1:0", udp: "127.0.0.1:0"}
"""


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    folder = tmp_path_factory.mktemp("clients")
    (folder / "obs.yml").write_text(CONFIG)
    with ObsProcess(folder / "data", "--config", str(folder / "obs.yml"), ports=4) as process:
        yield process
        assert "Traceback" not in process.errors()


@pytest.fixture
def word() -> str:
    return f"w{uuid.uuid4().hex}"


def rows(obs: ObsProcess, query: str, count: int) -> list[tuple[dict[str, str], str]]:
    """Labels and line of each record, once there are so many."""

    def ask() -> list[tuple[dict[str, str], str]]:
        streams = obs.client.loki.query_range(query, 1, time.time_ns() + 10**15, limit=5000, direction="forward").result
        rows = [(int(v[0]), s["stream"] | v[2]["structuredMetadata"], v[1]) for s in streams for v in s["values"]]
        return [(labels, line) for _, labels, line in sorted(rows, key=lambda row: row[0])]

    found = eventually(ask, lambda rows: len(rows) >= count)
    assert len(found) == count
    return found


def test_python_logging_loki(obs: ObsProcess, word: str) -> None:
    url = f"{obs.url}/loki/api/v1/push"
    logger = logging.Logger("shop.cart")
    logger.addHandler(logging_loki.LokiHandler(url, tags={"application": "cart"}, version="1"))
    logger.warning("about to expire %s", word, extra={"tags": {"customer": "c-7"}})
    ((labels, line),) = rows(obs, f'{{application="cart", customer="c-7"}} |= "{word}"', 1)
    assert line == f"about to expire {word}"
    assert labels["service_name"] == "cart"
    assert labels["detected_level"] == "warn"


def test_elasticsearch_helpers(obs: ObsProcess, word: str) -> None:
    for url in (f"http://{obs.receivers['elasticsearch']}", f"{obs.url}/elasticsearch"):
        client = Elasticsearch(url)
        assert client.info()["version"]["number"].startswith("8.")
        assert client.ping()
        documents = [
            {
                "_index": "logs-shop", "_op_type": "create", "@timestamp": "2026-01-01T00:00:00Z",
                "message": f"{word} {i}", "http": {"status": 500 + i},
            }
            for i in range(100)
        ]  # fmt: skip
        assert helpers.bulk(client, documents, chunk_size=30) == (100, [])
        assert client.index(index="logs-shop", document={"message": f"one {word}"})["result"] == "created"
        good, bad = helpers.bulk(client, [{"_op_type": "delete", "_index": "x", "_id": "1"}], raise_on_error=False)
        assert (good, len(bad)) == (0, 1)
        client.close()
    assert len(rows(obs, f'{{index="logs-shop"}} |= "{word}"', 202)) == 202
    assert len(rows(obs, f'{{index="logs-shop"}} |= "{word}" | http_status >= 590', 20)) == 20


def test_fluent_logger(obs: ObsProcess, word: str) -> None:
    host, port = obs.receivers["fluent"].rsplit(":", 1)
    plain = sender.FluentSender("shop", host=host, port=int(port), nanosecond_precision=True)
    assert plain.emit("cart", {"message": f"{word} plain", "level": "error", "items": 3})
    plain.close()
    waiting = asyncsender.FluentSender("shop", host=host, port=int(port))
    for i in range(50):
        assert waiting.emit("cart", {"message": f"{word} {i}"})
    waiting.close()
    found = rows(obs, f'{{tag="shop.cart"}} |= "{word}"', 51)
    assert [labels["detected_level"] for labels, line in found if line.endswith("plain")] == ["error"]


@pytest.mark.parametrize(
    "options", [["--tcp"], ["--udp"], ["--tcp", "--rfc3164"], ["--tcp", "--octet-count"], ["--udp", "--rfc5424"]]
)
def test_logger(obs: ObsProcess, word: str, options: list[str]) -> None:
    host, port = obs.receivers["syslog.udp" if "--udp" in options else "syslog.tcp"].rsplit(":", 1)
    argv = ["logger", "--server", host, "--port", port, "-t", "backup", "-p", "local3.err", *options, f"disk {word}"]
    subprocess.run(argv, check=True)
    ((labels, line),) = rows(obs, f'{{service_name="backup"}} |= "{word}"', 1)
    assert line == f"disk {word}"
    assert (labels["detected_level"], labels["syslog_facility"]) == ("error", "local3")


def test_rsyslog(obs: ObsProcess, word: str, tmp_path: Path) -> None:
    daemon = program("rsyslogd", "rsyslog")
    modules = next((daemon.parent.parent / "lib").glob("*-linux-gnu/rsyslog"), Path("/usr/lib/rsyslog"))
    host, port = obs.receivers["syslog.tcp"].rsplit(":", 1)
    log = tmp_path / "app.log"
    log.touch()
    config = tmp_path / "rsyslog.conf"
    config.write_text(f"""
global(workDirectory="{tmp_path}")
module(load="imfile" pollingInterval="1")
input(type="imfile" file="{log}" tag="app:" severity="warning" facility="local1")
action(type="omfwd" target="{host}" port="{port}" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format"
       tcp_framing="octet-counted" keepalive="on")
""")
    argv = [str(daemon), "-n", "-f", str(config), "-i", str(tmp_path / "pid"), "-M", str(modules)]
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, env=libraries(daemon))
    try:
        with log.open("a") as file:
            file.writelines(f"{word} line {i}\n" for i in range(200))
        found = rows(obs, f'{{service_name="app"}} |= "{word}"', 200)
        assert [line for _, line in found] == [f"{word} line {i}" for i in range(200)]
        assert found[0][0]["detected_level"] == "warn"
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.containers
def test_docker_with_the_fluentd_driver(obs: ObsProcess, word: str) -> None:
    began = time.time_ns()
    options = ["--log-driver=fluentd", "--log-opt", f"fluentd-address={obs.receivers['fluent']}", "--log-opt"]
    script = f"echo {word} out; echo {word} err >&2"
    with DockerDaemon(Path(tempfile.mkdtemp(prefix="obs-docker-"))) as docker:
        container = docker.run(f"shop-{word[:8]}", script, *options, "fluentd-sub-second-precision=true")
        found = rows(obs, f'{{container_id="{container}"}} |= "{word}"', 2)
    assert {line for _, line in found} == {f"{word} out", f"{word} err"}
    assert {labels["source"] for labels, _ in found} == {"stdout", "stderr"}
    assert {labels["container_name"] for labels, _ in found} == {f"shop-{word[:8]}"}
    assert min(int(labels["observed_timestamp"]) for labels, _ in found) > began


def test_syslog_over_tls(word: str, tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", *made, *names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    tls = f'{{listen: "127.0.0.1:0", cert_file: {cert}, key_file: {key}, client_ca_file: {cert}}}'
    (tmp_path / "obs.yml").write_text(f"receivers: {{syslog: {{tls: {tls}}}}}")
    with ObsProcess(tmp_path / "data", "--config", str(tmp_path / "obs.yml"), ports=1) as obs:
        host, port = obs.receivers["syslog.tls"].rsplit(":", 1)
        known = ssl.create_default_context(cafile=str(cert))
        message = f"<163>1 2026-01-02T03:04:05.000006Z host-1 backup 7 - - disk {word}".encode()

        def connected() -> ssl.SSLSocket:
            plain = socket.create_connection((host, int(port)), 20)
            return known.wrap_socket(plain, server_hostname="localhost")

        with contextlib.suppress(OSError), connected() as stranger:  # it has no certificate, and is cut off
            assert stranger.recv(1) == b""
        known.load_cert_chain(cert, key)
        with connected() as ours:
            ours.sendall(b"%d %b" % (len(message), message))
        ((labels, line),) = rows(obs, f'{{service_name="backup"}} |= "{word}"', 1)
    assert (line, labels["detected_level"]) == (f"disk {word}", "error")
