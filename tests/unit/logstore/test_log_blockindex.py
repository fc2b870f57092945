"""What is kept of blocks between queries, and that it goes when they do."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from log_recipes import NS, Record, logs_batch

from obs import warm
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore


def test_files_of_merged_blocks_are_let_go(tmp_path: Path) -> None:
    warm.load_now("obs.logstore.kernels")
    store = LogStore(tmp_path)
    store.open()
    try:
        logql = LogQL(store)
        for i in range(4):
            store.consume(logs_batch([Record((1_700_000_000 + i) * NS, f"line {i}", {"service.name": "a"})]))
            store.flush()
            assert len(logql.records('{service_name="a"} |= "line"', 0, 2_000_000_000 * NS).entries) == i + 1
        assert "tokens.idx" in held(tmp_path / "blocks") and ".parquet" in held(tmp_path / "blocks")
        store.engine.compact()
        assert "(deleted)" not in held(tmp_path / "blocks")
        assert len(logql.records('{service_name="a"} |= "line"', 0, 2_000_000_000 * NS).entries) == 4
        assert "(deleted)" not in held(tmp_path / "blocks")
    finally:
        store.close()


def held(folder: Path) -> str:
    """The files under `folder` that this process has in its memory, or open."""
    files = Path("/proc/self/maps").read_text().splitlines()
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing itself
            files.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return "\n".join(file for file in files if str(folder) in file)
