"""Configuration: sizes and durations, overrides, and errors that name key, file and the known words."""

from pathlib import Path

import pytest

from obs.app import make_stores
from obs.config import host_port, load
from obs.config_values import parse_duration, parse_size
from obs.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"), [("10GB", 10**10), ("512MiB", 512 << 20), ("1.5kb", 1500), (7, 7), ("9", 9)]
)
def test_sizes(text: object, value: object) -> None:
    assert parse_size(text) == value


@pytest.mark.parametrize(("text", "value"), [("30d", 2592000), ("1h30m", 5400), ("250ms", 0.25), (5, 5), ("15", 15)])
def test_durations(text: object, value: object) -> None:
    assert parse_duration(text) == value


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "obs.yml"
    file.write_text("listen: 127.0.0.1:1\nagent: {interval: 5s}\nlogs: {retention: {age: 3d, size: 10GB}}\n")
    config = load(file, {"listen": "127.0.0.1:2", "agent.enabled": False, "data": None})
    assert (config.listen, config.agent.interval, config.agent.enabled) == ("127.0.0.1:2", 5.0, False)
    assert (config.logs.retention.age, config.logs.retention.size) == (259200, 10**10)
    assert config.data == Path("obs-data")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listn: x", ["listn:", "did you mean 'listen'", "otlp_grpc"]),
        ("metrics: {retention: {szie: 3}}", ["metrics.retention.szie:", "did you mean 'size'"]),
        ("remote_write: []", ["remote_write:", "it is Prometheus's, and not obs's; obs sends to no other server"]),
        ("global: {query_log_file: x}", ["global.query_log_file:", "self.trace_ratio"]),
        ("storage: {tsdb: {}}", ["storage:", "retention is metrics.retention here"]),
        ("wal: {fsync: never}", ["wal.fsync:", "'never'"]),
        ("self: {trace_ratio: 3}", ["self.trace_ratio:"]),
        ("logs: {retention: {age: soon}}", ["logs.retention.age:", "'soon'", "1h30m"]),
        ("agent: 5", ["agent:", "5", "holds keys"]),
        ("agent: [on]", ["agent:", "holds keys"]),
        ("sql: {timeout: .inf}", ["sql.timeout:"]),
        ("wal: {fsync_interval: 9999y}", ["wal.fsync_interval:", "'9999y'"]),
        ("sql: {memory: 100kB}", ["sql.memory:", "'100kB'"]),
        ("listen: 9600", ["listen:", "valid string"]),
        ("- a", ["holds a list"]),
        ("wal: {fsync_interval: 4parsecs}", ["wal.fsync_interval:", "'4parsecs'", "it is no time; write seconds"]),
        ("limits: {body: much}", ["limits.body:", "'much'", "it is no size; write bytes"]),
        ("listen: x\na: [", ["cannot parse configuration", "bad.yml': 2:5: while parsing a flow node: expected"]),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "bad.yml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(file, {"agent.enabled": False})
    for word in words:
        assert word in str(error.value)


def test_an_empty_section_is_as_if_it_were_left_out(tmp_path: Path) -> None:
    file = tmp_path / "obs.yml"
    file.write_text("agent:\nlogs:\n  retention:\n")
    assert load(file, {"agent.enabled": False}) == load(None, {"agent.enabled": False})


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read configuration"):
        load(tmp_path / "absent.yml", {})


@pytest.mark.parametrize(
    ("text", "flushed"),
    [("{}", None), ("{memory_limit: 32MiB}", 32 << 20), ("{flush_bytes: 9MiB, memory_limit: 32MiB}", 9 << 20)],
)
def test_a_head_is_no_larger_than_the_memory_limit(tmp_path: Path, text: str, flushed: int | None) -> None:
    file = tmp_path / "obs.yml"
    file.write_text(f"traces: {text}\nlogs: {text}\n")
    _, logs, traces = make_stores(load(file, {}))
    assert logs.engine.options.flush_bytes == (flushed or 96 << 20)
    assert traces.engine.options.flush_bytes == (flushed or 128 << 20)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.2.3.4:5", ("1.2.3.4", 5)), ("[::1]:80", ("::1", 80)), (":80", ("0.0.0.0", 80)), ("80", ("127.0.0.1", 80))],
)
def test_addresses(text: str, value: tuple[str, int]) -> None:
    assert host_port(text, "listen") == value


@pytest.mark.parametrize("text", ["host", "host:port", "host:70000", "host:²", ""])
def test_faulty_addresses(text: str) -> None:
    with pytest.raises(ConfigError, match="listen: cannot use address"):
        host_port(text, "listen")
