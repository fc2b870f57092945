"""The lines around a line: of its stream alone, in the order of pages, however many share its time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from log_recipes import NS, Record, logs_batch

from obs.errors import NotFound
from obs.logstore.context import Wanted, lines_around
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore

HERE, ELSEWHERE = {"service.name": "cart"}, {"service.name": "cart", "host.name": "b"}


@pytest.mark.parametrize("where", ["head", "block", "both"])
def test_neighbours_in_the_stream(tmp_path: Path, where: str) -> None:
    store = LogStore(tmp_path)
    store.open()
    records = [Record(NS * (5 if 5 <= i < 15 else i), f"line {i}", HERE) for i in range(20)]
    records += [Record(5 * NS, f"other {i}", ELSEWHERE) for i in range(5)]
    for part in (records[:10], records[10:]) if where == "both" else (records,):
        store.consume(logs_batch(part))
        if (where != "head" and part[-1].body != "other 4") or where == "block":
            store.flush()
    logql = LogQL(store)

    def around(line: str, before: int, after: int) -> tuple[list[str], int]:
        wanted = Wanted('{service_name="cart"}', 5 * NS, line)
        found = lines_around(store, logql, wanted, before, after)
        return [entry.line for entry in found.lines], found.position

    for i in (5, 9, 10, 14):
        assert around(f"line {i}", 3, 3) == ([f"line {k}" for k in range(i - 3, i + 4)], 3)
    assert around("line 7", 100, 0) == ([f"line {k}" for k in range(8)], 7)
    assert around("line 14", 0, 100) == ([f"line {k}" for k in range(14, 20)], 0)
    assert around("other 2", 9, 9) == ([f"other {k}" for k in range(5)], 2)
    made = Wanted('{service_name="cart"} | label_format n=host_name | line_format "{{.n}} {{__line__}}" |= " "', 5 * NS)
    found = lines_around(store, logql, replace(made, line=" line 9"), 1, 1)
    assert found.lines[found.position].stream == (("service_name", "cart"),)
    with pytest.raises(NotFound):
        lines_around(store, logql, replace(made, line="no line"), 1, 1)
    store.close()


def test_an_empty_line_is_found_too(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    store.open()
    store.consume(logs_batch([Record(5 * NS, text, HERE) for text in ("a", "", "b")]))
    found = lines_around(store, LogQL(store), Wanted("{}", 5 * NS, ""), 5, 5)
    assert ([entry.line for entry in found.lines], found.position) == (["a", "", "b"], 1)
    store.close()
