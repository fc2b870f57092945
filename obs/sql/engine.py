"""One SQL query: a fresh in-memory DuckDB over the stores' views, read-only, limited in time and memory.

In: SQL text. Out: an Arrow table. The database can open no file but the stores' blocks, and no network.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa

from obs.columnar.filenames import BLOCKS
from obs.errors import Overloaded, QueryError, QueryLimit, UserError
from obs.sql.views import SqlSource, SqlView

MAX_ROWS = 1_000_000
"""Rows of one answer; an export of more belongs to the Parquet files themselves."""

BATCH_ROWS = 2048
"""Rows fetched at one time: DuckDB's own vector. A result is weighed after each, since it grows outside of
DuckDB's memory limit."""

MAX_SQL_BYTES = 32 << 10
"""Length of a query: DuckDB parses and binds without a look at the clock, in a time that grows with its square."""

AT_ONE_TIME = 2
"""Queries running at one time, each with its own memory: DuckDB fills a core with each."""

WAIT_S = 5.0
"""How long others wait for their turn before they are told to come back."""

OUT_OF_MEMORY = "Out of Memory Error"
"""How DuckDB's message begins where the memory limit is reached."""


T = TypeVar("T")


class SqlEngine:
    """Runs queries over `sources`, whose folders stand in `folder`. `memory_bytes` and `timeout_s` bound each one."""

    def __init__(self, sources: Sequence[SqlSource], folder: Path, memory_bytes: int, timeout_s: float) -> None:
        self._sources = sources
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s
        self._turns = threading.BoundedSemaphore(AT_ONE_TIME)

    def query(self, sql: str) -> pa.Table:
        """The rows of one SELECT (or WITH, FROM, DESCRIBE, SHOW, SUMMARIZE, VALUES, EXPLAIN of one).

        Raises: QueryError (does not parse, or writes), QueryLimit (time, memory or rows), Overloaded.
        """
        return self.answer(sql, lambda table: table)

    def answer(self, sql: str, write: Callable[[pa.Table], T]) -> T:
        """What `write` makes of the rows of `query`, while the query has its turn: writing them takes memory too."""
        with self._turn():
            return write(self._rows(_only_select(sql)))

    def _rows(self, statement: str) -> pa.Table:
        with contextlib.ExitStack() as stack:
            views = [v for source in self._sources for v in stack.enter_context(source.sql_views())]
            connection = stack.enter_context(self._connect(views))
            return self._run(connection, statement)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=WAIT_S):
            raise Overloaded(f"cannot run query now: {AT_ONE_TIME} others are running; ask again", WAIT_S)
        try:
            yield
        finally:
            self._turns.release()

    def _connect(self, views: Sequence[SqlView]) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(":memory:")
        connection.execute(
            f"SET memory_limit='{self._memory_bytes // 1_000_000}MB'; SET threads=2; SET temp_directory='';"
            f"SET python_enable_replacements=false; SET TimeZone='UTC'; SET allowed_directories=[{self._allowed()}];"
            "SET enable_external_access=false; SET enable_progress_bar=false;"
        )
        for view in views:
            for name, table in view.arrow.items():
                connection.register(name, table)
            connection.execute(f'CREATE VIEW "{view.name}" AS {view.sql}')
        connection.execute("SET lock_configuration=true")
        return connection

    def _allowed(self) -> str:
        """The folders of blocks, as SQL: all else in the data folder (WAL, alerts, agent) is not for queries."""
        folders = [f"{path.resolve()}/" for path in sorted(self._folder.glob(f"*/{BLOCKS}"))]
        return ", ".join("'" + folder.replace("'", "''") + "'" for folder in folders)

    def _run(self, connection: duckdb.DuckDBPyConnection, statement: str) -> pa.Table:
        expired = threading.Event()

        def stop() -> None:
            expired.set()
            connection.interrupt()

        timer = threading.Timer(self._timeout_s, stop)
        timer.start()
        try:
            relation = connection.sql(statement)
            return pa.table({}) if relation is None else self._fetch(relation)
        except (duckdb.Error, pa.ArrowException, OSError) as e:  # Arrow's reader passes DuckDB's errors on as OSError
            raise self._fault(e, expired.is_set()) from None
        finally:
            timer.cancel()
            timer.join()  # it may be interrupting just now: the connection must be there

    def _fault(self, error: Exception, expired: bool) -> UserError:
        text = str(error).strip()
        if expired:
            return QueryLimit(f"cannot finish query in {self._timeout_s:g} s; ask for less, or raise sql.timeout")
        if text.startswith(OUT_OF_MEMORY):
            return QueryLimit(f"cannot run query in {self._memory_bytes} bytes: {text.splitlines()[0]}")
        return QueryError(f"cannot run query: {text}")

    def _fetch(self, relation: duckdb.DuckDBPyRelation) -> pa.Table:
        """All rows. Raises: QueryLimit as soon as they are too many or too large."""
        reader = relation.limit(MAX_ROWS + 1).to_arrow_reader(BATCH_ROWS)
        batches, nbytes = [], 0
        for batch in reader:
            batches.append(batch)
            nbytes += batch.nbytes
            if nbytes > self._memory_bytes:
                raise QueryLimit(
                    f"cannot answer with more than {self._memory_bytes} bytes; add a LIMIT, or raise sql.memory"
                )
        table = pa.Table.from_batches(batches, reader.schema)
        if table.num_rows > MAX_ROWS:
            raise QueryLimit(f"cannot answer with more than {MAX_ROWS} rows; add a LIMIT or aggregate")
        return table


def _only_select(sql: str) -> str:
    """The query if it is one statement that only reads. Raises: QueryError."""
    if len(sql.encode(errors="replace")) > MAX_SQL_BYTES:
        raise QueryError(f"cannot run query of more than {MAX_SQL_BYTES} bytes; join or filter by a subquery instead")
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as e:
        raise QueryError(f"cannot parse query: {str(e).strip()}") from None
    if len(statements) != 1:
        raise QueryError(f"cannot run {len(statements)} statements: send one SELECT")
    statement = statements[0]
    explained = re.sub(r"(?is)^\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?", "", sql)
    if statement.type == duckdb.StatementType.EXPLAIN and explained != sql:
        _only_select(explained)
    elif statement.type != duckdb.StatementType.SELECT:
        raise QueryError(f"cannot run {statement.type.name} statement: this endpoint only reads; send a SELECT")
    return sql
