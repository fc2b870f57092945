"""A record is found once consumed, after a flush, and after a restart, each time exactly once."""

from __future__ import annotations

from pathlib import Path

from log_recipes import NS, Record, logs_batch

from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore

RECORDS = [Record(i * NS, f"line {i}", {"service.name": f"s{i % 3}"}, {"n": i}, "INFO") for i in range(1, 31)]


def lines(store: LogStore) -> list[str]:
    return [e.line for e in LogQL(store).records('{service_name=~"s."}', 0, 100 * NS, 1000, newest_first=False).entries]


def opened(folder: Path) -> LogStore:
    store = LogStore(folder)
    store.open()
    assert store.engine.wait_recovered()
    return store


def test_records_survive_flush_and_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    expected = []
    for at in range(0, 30, 10):
        store.consume(logs_batch(RECORDS[at : at + 10]))
        expected += [r.body for r in RECORDS[at : at + 10]]
        assert lines(store) == expected
        if at == 10:
            store.flush()
            assert lines(store) == expected
        store.close()
        store = opened(tmp_path)
        assert lines(store) == expected
    assert [v.value for v in LogQL(store).instant("sum(count_over_time({}[100s]))", 100_000)] == [30]
    assert store.stream_labels((), 0, 100 * NS) == [(("service_name", f"s{i}"),) for i in range(3)]
    store.engine.compact()
    assert lines(store) == expected
    store.close()


def test_another_list_of_stream_attributes_applies_to_what_is_read_back(tmp_path: Path) -> None:
    store = LogStore(tmp_path, stream_attributes=("service.name",))
    store.open()
    store.consume(logs_batch([Record(i, f"on {h}", {"service.name": "s", "host.name": h}) for i, h in enumerate("ab")]))
    store.close()
    store = LogStore(tmp_path, stream_attributes=("host.name",))
    store.open()
    assert store.engine.wait_recovered()
    for _ in range(2):
        found = LogQL(store).records('{host_name="b"}', 0, NS).entries
        assert [(e.line, dict(e.stream)["host_name"]) for e in found] == [("on b", "b")]
        assert len(store.stream_labels((), 0, NS)) == 2
        store.flush()
    store.close()


def test_equal_records_are_both_kept(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for _ in range(2):
        store.consume(logs_batch([Record(NS, "twice", {"service.name": "s1"})]))
        store.flush()
    store.engine.compact()
    assert lines(store) == ["twice", "twice"]
    store.close()


def test_sql_sees_logs_of_head_and_block(tmp_path: Path) -> None:
    import duckdb

    store = opened(tmp_path)
    store.consume(logs_batch(RECORDS[:10]))
    store.flush()
    store.consume(logs_batch(RECORDS[10:]))
    with store.sql_views() as (view,), duckdb.connect() as db:
        for name, table in view.arrow.items():
            db.register(name, table)
        (found,) = db.sql(f"SELECT count(*), min(body) FROM ({view.sql})").fetchall()
    assert found == (30, "line 1")
    store.close()
