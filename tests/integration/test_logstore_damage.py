"""Damaged files: the block is quarantined and the rest is served; a damaged filter hides nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from log_recipes import Record, logs_batch

from obs import warm
from obs.logstore.filenames import TOKENS
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two blocks of 50 records, of services a and b."""
    warm.load_now("obs.logstore.kernels")
    store = LogStore(tmp_path)
    store.open()
    for service in "ab":
        store.consume(logs_batch([Record(i, f"line {service}{i}", {"service.name": service}) for i in range(50)]))
        store.flush()
    store.close()
    return tmp_path


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for i in range(64, len(data) - 64, 3):
        data[i] ^= 0x5A
    path.write_bytes(data)


def of_service(folder: Path, name: str) -> Path:
    return next(p for p in sorted((folder / "blocks").rglob(name)))


def test_the_rest_is_served(folder: Path) -> None:
    spoil(of_service(folder, "logs.parquet"))
    store = LogStore(folder)
    store.open()
    logql = LogQL(store)
    found = logql.records('{} |= "line"', 0, 1000, 1000).entries
    assert {dict(e.stream)["service_name"] for e in found} == {"b"} and len(found) == 50
    assert [v.value for v in logql.instant("sum(count_over_time({}[1s]))", 1)] == [50]
    assert store.engine.counters.quarantined == 1
    store.close()


def test_a_damaged_filter_hides_nothing(folder: Path) -> None:
    spoil(of_service(folder, TOKENS))
    store = LogStore(folder)
    store.open()
    assert len(LogQL(store).records("line", 0, 1000, 1000).entries) == 100
    assert len(LogQL(store).records('{} |= "ine a7"', 0, 1000, 1000).entries) == 1
    store.close()
