"""One SQL query: what it may read, how much it may take, and every type of DuckDB on its way out."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from obs.errors import Overloaded, QueryError, QueryLimit
from obs.sql import answers, engine
from obs.sql.engine import SqlEngine
from obs.sql.views import SqlView
from obs.sql.workers import Worker

TYPES = [name for name, *_ in duckdb.sql("SELECT * FROM test_all_types()").description]


class Source:
    """A store with one block and no head."""

    sql_names = ("things",)

    def __init__(self, folder: Path) -> None:
        self.file = folder / "things" / "blocks" / "b1" / "rows.parquet"
        self.file.parent.mkdir(parents=True)
        pq.write_table(pa.table({"a": [1, 2]}), self.file)

    @contextmanager
    def sql_views(self) -> Iterator[Sequence[SqlView]]:
        """The block."""
        yield [SqlView("things", f"SELECT * FROM read_parquet('{self.file}')")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sql")
    (made / "things" / "wal").mkdir(parents=True)
    (made / "things" / "wal" / "1.csv").write_text("secret\n1\n")
    (made / "lock").write_text("1")
    return made


@pytest.fixture(scope="module")
def sql(folder: Path) -> Iterator[SqlEngine]:
    """One for all: what a query did to its process is no business of the next one."""
    made = SqlEngine([Source(folder)], folder, 64_000_000, 20)
    yield made
    made.close()


def test_blocks_are_read_and_nothing_else_of_the_folder(sql: SqlEngine, folder: Path) -> None:
    assert sql.query("SELECT sum(a) AS n FROM things").to_pylist() == [{"n": 3}]
    for reader in ("read_text", "read_csv", "glob"):
        for place in ("things/wal/1.csv", "lock", "**", "things/blocks/../wal/1.csv"):
            with pytest.raises(QueryError, match="Permission Error"):
                sql.query(f"SELECT * FROM {reader}('{folder}/{place}')")


@pytest.mark.parametrize(
    "query",
    ["SELECT repeat('x', 100000) FROM range(20000)", "SELECT range FROM range(1000001)"],
    ids=["too large", "too many rows"],
)
def test_a_result_past_the_limits_is_refused(sql: SqlEngine, query: str) -> None:
    with pytest.raises(QueryLimit, match="cannot (answer with more than|run query in) "):
        sql.query(query)


def test_an_error_after_the_first_rows_is_the_query_s(sql: SqlEngine) -> None:
    with pytest.raises(QueryError, match="Conversion Error"):
        sql.query("SELECT CASE WHEN range = 500000 THEN CAST('x' || range AS INT) ELSE 1 END FROM range(900000)")


def test_a_query_is_stopped_after_its_time(tmp_path: Path) -> None:
    short = SqlEngine([], tmp_path, 64_000_000, 0.2)
    with pytest.raises(QueryLimit, match=r"sql\.timeout"):
        short.query("SELECT count(*) FROM range(99999999999) a, range(9999) b")
    short.close()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT sum(length(format('{:>500000000}', i::VARCHAR))) FROM range(8) t(i)",
        "SELECT length(list_aggregate(list_transform(range(4000), lambda x: repeat('y', 1000000)), 'string_agg', ''))",
        "SELECT length(repeat(repeat('x', 60000000), 60))",
    ],
)
def test_texts_that_functions_make_are_bounded_too(sql: SqlEngine, query: str) -> None:
    with pytest.raises(QueryLimit, match="cannot run query in 64000000 bytes"):
        sql.query(query)
    assert sql.query("SELECT sum(a) AS n FROM things").to_pylist() == [{"n": 3}]


def test_who_had_not_enough_memory_is_asked_nothing_more() -> None:
    worker = Worker(64_000_000, 20)
    ask = {"views": [], "folders": []}
    worker.ask({**ask, "run": "SELECT 1"}, {})
    assert worker.is_good()
    with pytest.raises(QueryLimit):
        worker.ask({**ask, "run": "SELECT list(range) FROM range(100000000)"}, {})
    assert not worker.is_good()
    worker.close()


def test_a_function_that_looks_at_no_clock_is_stopped(tmp_path: Path) -> None:
    short = SqlEngine([], tmp_path, 64_000_000, 0.5)
    with pytest.raises(QueryLimit, match=r"sql\.timeout"):
        short.query("SELECT levenshtein(repeat('ab', 400000), repeat('ba', 400000))")
    assert short.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
    short.close()


def test_what_there_is_can_be_asked(sql: SqlEngine) -> None:
    assert sql.query("SHOW TABLES").to_pylist() == [{"name": "things"}]
    assert sql.query("DESCRIBE Things").column("column_name").to_pylist() == ["a"]
    assert sql.query("SELECT count(*) AS n FROM information_schema.tables").to_pylist() == [{"n": 1}]
    assert sql.query("WITH w AS (SELECT * FROM main.THINGS) SELECT max(a) AS a FROM w").to_pylist() == [{"a": 2}]


def test_others_wait_for_their_turn_and_are_told_to_come_back(sql: SqlEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WAIT_S", 0.01)
    held, go = [threading.Event() for _ in range(engine.AT_ONE_TIME)], threading.Event()

    def hold(entered: threading.Event) -> None:
        with sql._turn():
            entered.set()
            go.wait(20)

    threads = [threading.Thread(target=hold, args=(entered,)) for entered in held]
    for thread in threads:
        thread.start()
    assert all(entered.wait(20) for entered in held)
    with pytest.raises(Overloaded, match="ask again"):
        sql.query("SELECT 1")
    go.set()
    for thread in threads:
        thread.join()
    assert sql.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_a_query_of_any_length_is_not_parsed(sql: SqlEngine) -> None:
    with pytest.raises(QueryError, match="more than 32768 bytes"):
        sql.query("SELECT a" + ".a" * 20_000)


def test_long_results_are_written_in_pieces(sql: SqlEngine) -> None:
    table = sql.query("SELECT range AS n, 'x' || range AS t FROM range(25000)")
    assert json.loads(answers.to_json(table)) == {"columns": ["n", "t"], "rows": [[n, f"x{n}"] for n in range(25_000)]}
    lines = list(csv.reader(io.StringIO(answers.to_csv(table).decode())))
    assert lines == [["n", "t"], *([str(n), f"x{n}"] for n in range(25_000))]


@pytest.mark.parametrize("name", TYPES)
def test_every_type_goes_out(sql: SqlEngine, name: str) -> None:
    table = sql.query(f'SELECT "{name}" FROM test_all_types()')
    answer = json.loads(answers.to_json(table))
    assert (answer["columns"], len(answer["rows"]), answer["rows"][-1]) == ([name], 3, [None])
    assert next(csv.reader(io.StringIO(answers.to_csv(table).decode()))) == [name]
    assert pa.ipc.open_stream(answers.to_arrow(table)).read_all().num_rows == 3


def test_times_are_text_however_deep_they_stand(sql: SqlEngine) -> None:
    table = sql.query("SELECT [{'at': make_timestamp_ns(1700000000123456789)}] AS list, date '9999-12-31' AS day")
    row = [[{"at": "2023-11-14 22:13:20.123456789"}], "9999-12-31"]
    assert json.loads(answers.to_json(table))["rows"] == [row]
    lines = list(csv.reader(io.StringIO(answers.to_csv(table).decode())))
    assert [json.loads(lines[1][0]), lines[1][1]] == row


def test_what_has_no_form_is_told(sql: SqlEngine) -> None:
    table = sql.query("SELECT union_value(at := make_timestamp_ns(1700000000123456789)) AS odd")
    with pytest.raises(QueryError, match=r"'odd'.*CAST it to VARCHAR"):
        answers.to_json(table)


@pytest.mark.parametrize(
    "query",
    [
        "WITH x AS (COPY (SELECT 1) TO '{file}') SELECT * FROM x",
        "EXPLAIN (ANALYZE /* ) SELECT 1 -- */ ) COPY (SELECT 666 AS a) TO '{file}' (FORMAT parquet)",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
        "/* */ COPY (SELECT 1) TO '{file}'",
    ],
)
def test_no_query_writes_into_the_blocks(sql: SqlEngine, folder: Path, query: str) -> None:
    block = folder / "things" / "blocks" / "b1" / "rows.parquet"
    before = block.read_bytes()
    for name in ("rows.parquet", "new.parquet"):
        with pytest.raises(QueryError):
            sql.query(query.format(file=block.with_name(name)))
    assert block.read_bytes() == before
    assert [path.name for path in block.parent.iterdir()] == ["rows.parquet"]


def test_the_process_of_queries_can_write_no_file(tmp_path: Path) -> None:
    script = (
        "import sys; from obs.sql.confine import forbid_writing\n"
        "if not forbid_writing(): sys.exit(7)\n"
        "open(sys.argv[1], 'w')"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "x")], capture_output=True, check=False)
    if ended.returncode == 7:
        pytest.skip("this kernel has no Landlock")
    assert b"PermissionError" in ended.stderr
    assert not (tmp_path / "x").exists()


def test_explain_shows_a_plan(sql: SqlEngine) -> None:
    assert sql.query("EXPLAIN SELECT sum(a) FROM things").num_rows
    assert sql.query("-- why\nEXPLAIN (SELECT 1)").num_rows
