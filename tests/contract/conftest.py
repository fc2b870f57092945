"""One server for every receiver's contract, and one that was killed after each had sent something to keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.register_assert_rewrite("notifier_contract", "receiver_contract", "signal_contracts", "store_contract")

from obs_process import ObsProcess  # noqa: E402
from receiver_contract import before_the_kill  # noqa: E402

CONFIG = """
receivers:
  splunk_hec: {tokens: [token-of-a-test]}
  fluent: {listen: "127.0.0.1:0"}
  syslog: {tcp: "127.0.0.1:0", udp: "127.0.0.1:0"}
  zipkin: {listen: "127.0.0.1:0"}
  jaeger: {listen: "127.0.0.1:0"}
"""
PORTS = 5


@contextmanager
def _server(folder: Path) -> Iterator[ObsProcess]:
    config = folder / "obs.yml"
    config.write_text(CONFIG)
    with ObsProcess(folder / "data", "--config", str(config), ports=PORTS) as process:
        yield process
        assert process.process.poll() is None
        assert "Traceback" not in process.errors()


@pytest.fixture(scope="session")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    """Lives as long as the tests; nothing written to its log is a traceback."""
    with _server(tmp_path_factory.mktemp("receivers")) as process:
        yield process


@pytest.fixture(scope="session")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    """Was sent something to keep by every receiver, killed, and started again."""
    with _server(tmp_path_factory.mktemp("killed")) as process:
        before_the_kill(process)
        process.kill()
        process.start()
        yield process
