"""The contract of every receiver of logs: what was sent is found, counted and kept; what cannot be taken is told."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from log_senders import CONFIG, PORTS, SENDERS, Line, Sender
from obs_process import ObsProcess, eventually

NOW = time.time_ns() // 10**9 * 10**9 + 123_456_000
ODD = {
    "nul": "before\0after",
    "colours": "\x1b[31mred\x1b[0m",
    "quotes": "say \"hi\" \\ {braces} 'single'",
    "wide": "日本語 🎉 ünï",
    "long": "x" * 60_000,  # the longest datagram
    "lines": "first\n  second\n\tthird",
}


def ids(sender: Sender) -> str:
    return type(sender).__name__


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    folder = tmp_path_factory.mktemp("receivers")
    config = folder / "obs.yml"
    config.write_text(CONFIG)
    with ObsProcess(folder / "data", "--config", str(config), ports=PORTS) as process:
        yield process
        assert process.process.poll() is None
        assert "Traceback" not in process.errors()


def found(obs: ObsProcess, query: str) -> list[tuple[dict[str, str], int, str]]:
    """Stream with metadata, time and line of each record, oldest first."""
    params = [("query", query), ("start", "1"), ("end", str(NOW + 10**15)), ("limit", "5000"), ("direction", "forward")]
    streams = json.loads(obs.client.transport.raw("/loki/api/v1/query_range", params))["data"]["result"]
    rows = [(s["stream"], int(v[0]), v[1]) for s in streams for v in s["values"]]
    return sorted(rows, key=lambda row: row[1])


def ledger(obs: ObsProcess, sender: Sender) -> dict[str, Any]:
    """The ledger's entry of a receiver."""
    entries = json.loads(obs.client.transport.raw("/api/status", []))["ledger"]
    return next((e for e in entries if (e["signal"], e["receiver"]) == ("logs", sender.name)), {"received": 0})


@pytest.mark.parametrize("sender", SENDERS, ids=ids)
def test_what_is_sent_is_found_and_counted(obs: ObsProcess, sender: Sender) -> None:
    service = f"contract-{ids(sender)}"
    lines = [Line(NOW + i * 1000, f"{service} line {i}", ("error", "info")[i % 2], "web-1", service) for i in range(50)]
    before = ledger(obs, sender)["received"]
    sender(obs, lines)
    rows = eventually(lambda: found(obs, f'{{service_name="{service}"}}'), lambda rows: len(rows) == len(lines))
    assert [(time_ns, line) for _, time_ns, line in rows] == [(line.time_ns, line.text) for line in lines]
    assert {labels["host_name"] for labels, _, _ in rows} == {"web-1"}
    assert [labels["detected_level"] for labels, _, _ in rows] == [line.level for line in lines]
    entry = ledger(obs, sender)
    assert entry["received"] - before == len(lines)
    assert entry["received"] == entry["stored"] + sum(entry["dropped"].values())
    errors = found(obs, f'{{service_name="{service}", detected_level="error"}} |= "line"')
    assert len(errors) == len(lines) // 2


@pytest.mark.parametrize("sender", SENDERS, ids=ids)
def test_odd_texts_come_back_as_they_were(obs: ObsProcess, sender: Sender) -> None:
    service = f"odd-{ids(sender)}"
    lines = [Line(NOW + i * 1000, text, service=service) for i, text in enumerate(ODD.values())]
    sender(obs, lines)
    rows = eventually(lambda: found(obs, f'{{service_name="{service}"}}'), lambda rows: len(rows) == len(lines))
    assert [line for _, _, line in rows] == list(ODD.values())


@pytest.mark.parametrize("sender", SENDERS, ids=ids)
def test_what_is_no_message_is_told(obs: ObsProcess, sender: Sender) -> None:
    said = sender.garbage(obs)
    assert re.search(r"cannot|expected|Invalid", said), said
    assert "Traceback" not in said
    service = f"after-{ids(sender)}"
    sender(obs, [Line(NOW, "still here", service=service)])
    assert eventually(lambda: found(obs, f'{{service_name="{service}"}}'))


@pytest.mark.parametrize("sender", [s for s in SENDERS if s.acknowledges], ids=ids)
def test_what_is_acknowledged_outlives_a_kill(tmp_path: Path, sender: Sender) -> None:
    config = tmp_path / "obs.yml"
    config.write_text(CONFIG)
    with ObsProcess(tmp_path / "data", "--config", str(config), ports=PORTS) as obs:
        sender(obs, [Line(NOW + i * 1000, f"line {i}", service="kept") for i in range(20)])
        obs.kill()
        obs.start()
        rows = eventually(lambda: found(obs, '{service_name="kept"}'), lambda rows: len(rows) == 20)
        assert [line for _, _, line in rows] == [f"line {i}" for i in range(20)]
