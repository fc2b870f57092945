"""Attributes as columns of SQL, whatever their keys are, in blocks and in the head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from log_recipes import NS, Record, logs_batch

from obs.logstore.store import LogStore
from obs.sql.engine import SqlEngine

ODD = {"nul\0key": "n", "": "empty", 'q"uote': "q", "'; DROP": "d", "a:str": "typed", "line\n": "l", "ünï": "u"}
CASES: list[Mapping[str, Any]] = [{"User": "one"}, {"user": "two", "USER": "three"}, {"user": 4}, ODD]


@pytest.mark.parametrize("flushes", ["at the end", "after each", "never"])
def test_any_key(tmp_path: Path, flushes: str) -> None:
    store = LogStore(tmp_path / "logs")
    store.open()
    for number, attributes in enumerate(CASES):
        store.consume(logs_batch([Record(number * NS, "line", attributes=attributes)]))
        if flushes == "after each":
            store.flush()
    if flushes == "at the end":
        store.flush()
    sql = SqlEngine([store], tmp_path, 256_000_000, 20)
    assert sql.query("SELECT count(*) AS n FROM logs").to_pylist() == [{"n": len(CASES)}]
    users = sql.query('SELECT "attr.user" AS u, "attr.user:int" AS n FROM logs ORDER BY time_ns').to_pylist()
    assert users[0] == {"u": "one", "n": None}
    assert users[1]["u"] in ("two", "three")
    assert users[2:] == [{"u": "4", "n": 4}, {"u": None, "n": None}]
    odd = ", ".join('"attr.' + key.replace('"', '""') + '"' for key in ODD if "\0" not in key)
    assert list(sql.query(f"SELECT {odd} FROM logs ORDER BY time_ns DESC LIMIT 1").to_pylist()[0].values()) == [
        value for key, value in ODD.items() if "\0" not in key
    ]
    sql.close()
    store.close()
