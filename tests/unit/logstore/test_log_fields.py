"""Labels of bodies as columns: which blocks have them, what they spare, and that a damaged file is not believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from log_recipes import Record, logs_batch

from obs import warm
from obs.logstore.logql import LogQL
from obs.logstore.selection import Selection, Stats
from obs.logstore.store import LogStore

S = 10**9
RARE = '{"status":404,"escaped":"a\\tb","odd":1.0}'


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    warm.load_now("obs.logstore.kernels")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LogStore]:
    store = LogStore(tmp_path)
    store.open()
    yield store
    store.close()


def take(store: LogStore, bodies: list[str]) -> None:
    store.consume(logs_batch(Record(i * S, body, {"service.name": "a"}) for i, body in enumerate(bodies)))
    store.flush()


def bodies(count: int) -> list[str]:
    return [f'{{"status":{200 + i % 2 * 300},"user":"u{i % 3}","id":"{i:020}"}}' for i in range(count)]


def errors(store: LogStore) -> float:
    query = "sum(count_over_time({} | json | __error__ = `` | status >= 500 [1h]))"
    matrix, _, _ = LogQL(store).range(query, 3000 * S, 3000 * S, S)
    return float(matrix.values.sum())


def file_of(store: LogStore) -> Path | None:
    return next(store.engine.folder.rglob("fields.parquet"), None)


def test_frequent_labels_are_read_without_bodies(store: LogStore) -> None:
    take(store, [*bodies(60), RARE])
    with store.read(Selection(), Stats()) as (unit,):
        rows = unit.open()
        found = rows.line_fields("json", ["status", "user"])
        assert found is not None
        assert found.covered.tolist() == [True] * 61
        assert found.columns["status"].to_pylist() == [str(200 + i % 2 * 300) for i in range(60)] + ["404"]
        assert rows.line_fields("json", ["id"]) is None  # a long text that never repeats
        assert rows.line_fields("json", ["escaped"]) is None
        other = rows.line_fields("logfmt", ["status"])
        assert other is not None
        assert not other.covered.any()
        assert rows.chunk.columns_read == 0
    assert errors(store) == 30


def test_a_merge_makes_them_anew(store: LogStore) -> None:
    take(store, bodies(40))
    take(store, [*bodies(20), "level=info took=3"])
    store.delete('{} | json | user = "u0"')
    assert store.clean() > 0
    assert errors(store) == 20 + 10 - 7 - 3


def test_a_damaged_file_is_not_believed(store: LogStore, caplog: pytest.LogCaptureFixture) -> None:
    take(store, bodies(60))
    path = file_of(store)
    assert path is not None
    path.write_bytes(path.read_bytes().replace(b"500", b"501"))
    assert errors(store) == 30
    assert "the block's records are read instead" in caplog.text


@pytest.mark.parametrize("line", ["plain words", "took=5 of the best words there are", '{"n":', "", '{"id":"%020d"}'])
def test_no_file_where_no_label_is_worth_it(store: LogStore, line: str) -> None:
    take(store, [line % i if "%" in line else line for i in range(50)])
    assert file_of(store) is None


@pytest.mark.parametrize(
    ("query", "skipped"),
    [
        ('{} | json | user = "nobody"', 1), ('{} | json | user = "u1"', 0), ('{} | json |= "nothere" | status > 1', 1),
        ('{} | json | user = "nobody" or status = 500', 0), ('{} | label_format user="x" | json | user = "nobody"', 0),
        ('{} | logfmt | user = "nobody"', 0), ('{} | json | service_name_extracted = "nobody"', 1),
    ],
)  # fmt: skip
def test_tokens_rule_row_groups_out(store: LogStore, query: str, skipped: int) -> None:
    take(store, bodies(60))
    assert LogQL(store).records(query, 0, 3000 * S).stats.skipped_by_tokens == skipped


ESCAPED = {
    "json": '{"status":%d,"note":"a\\ty%02d and more","quoted":"b\\"z%02d and more"}',
    "logfmt": 'status=%d note="a\\ty%02d and more" quoted="b\\"z%02d and more"',
}


@pytest.mark.parametrize(
    ("parser", "condition", "count", "skipped"),
    [
        ("json", 'detected_level = "error"', 20, 0), ("json", 'level = "error"', 20, 0),
        ("json", 'severity = "ERROR"', 20, 0), ("json", r'note = "a\ty07 and more"', 1, 0),
        ("json", 'quoted = `b"z07 and more`', 1, 0), ("json", 'quoted = `b"z77 and more`', 0, 1),
        ("logfmt", 'level = "error"', 20, 0), ("logfmt", 'note = "aty07 and more"', 1, 0),
        ("logfmt", 'status = "404"', 0, 1),
    ],
)  # fmt: skip
def test_tokens_rule_out_no_level_and_no_escape(
    store: LogStore, parser: str, condition: str, count: int, skipped: int
) -> None:
    levels = ["ERROR", "INFO", "INFO"]
    store.consume(
        logs_batch(
            Record(i * S, ESCAPED[parser] % (200, i, i), {"service.name": "a"}, severity=levels[i % 3])
            for i in range(60)
        )
    )
    store.flush()
    found = LogQL(store).records(f"{{}} | {parser} | {condition}", 0, 3000 * S)
    assert (len(found.entries), found.stats.skipped_by_tokens) == (count, skipped)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    ("query", "groups"),
    [
        ("count_over_time({} | json [1h])", ["", "id=1 user_extracted=b", "level=warn user=c"]),
        ('count_over_time({} | json | level = "info" [1h])', ["", "id=1 user_extracted=b"]),
        ("sum by (level) (count_over_time({} | json [1h]))", ["level=info", "level=warn"]),
    ],
)
def test_labels_of_other_rows_change_no_group(store: LogStore, query: str, groups: list[str], apart: bool) -> None:
    rows = [('{"level":"warn","user":"c"}', {}), ('{"user":"b","id":1}', {"user": "a"}), ("{}", {"user": "a"})]
    for i, (body, attributes) in enumerate(rows):
        store.consume(logs_batch([Record((i + 1) * S, body, {"service.name": "a"}, attributes, severity="INFO")]))
        if apart:
            store.flush()
    matrix, _, _ = LogQL(store).range(query, 3000 * S, 3000 * S, S)
    found = [" ".join(f"{k}={v}" for k, v in labels if k != "service_name") for labels in matrix.labels]
    assert sorted(found) == groups
