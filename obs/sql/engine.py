"""One SQL query: a fresh in-memory DuckDB over the stores' views, read-only, limited in time and memory.

In: SQL text. Out: an Arrow table. The database can open no file but the blocks in view, and no network.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from obs.errors import QueryError, QueryLimit
from obs.sql.views import SqlSource, SqlView

MAX_ROWS = 1_000_000
"""Rows of one answer; an export of more belongs to the Parquet files themselves."""


class SqlEngine:
    """Runs queries over `sources`. `memory_bytes` and `timeout_s` bound each one."""

    def __init__(self, sources: Sequence[SqlSource], folder: Path, memory_bytes: int, timeout_s: float) -> None:
        self._sources = sources
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s

    def query(self, sql: str) -> pa.Table:
        """The rows of one SELECT (or WITH, FROM, DESCRIBE, SHOW, SUMMARIZE, VALUES, EXPLAIN of one).

        Raises: QueryError (does not parse, or writes), QueryLimit (time, memory or rows).
        """
        statement = _only_select(sql)
        with contextlib.ExitStack() as stack:
            views = [v for source in self._sources for v in stack.enter_context(source.sql_views())]
            connection = stack.enter_context(self._connect(views))
            return self._run(connection, statement)

    def _connect(self, views: Sequence[SqlView]) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(":memory:")
        folder = str(self._folder.resolve()).replace("'", "''")
        connection.execute(
            f"SET memory_limit='{self._memory_bytes // 1_000_000}MB'; SET threads=2; SET temp_directory='';"
            f"SET python_enable_replacements=false; SET TimeZone='UTC'; SET allowed_directories=['{folder}/'];"
            "SET enable_external_access=false;"
        )
        for view in views:
            for name, table in view.arrow.items():
                connection.register(name, table)
            connection.execute(f'CREATE VIEW "{view.name}" AS {view.sql}')
        connection.execute("SET lock_configuration=true")
        return connection

    def _run(self, connection: duckdb.DuckDBPyConnection, statement: str) -> pa.Table:
        timer = threading.Timer(self._timeout_s, connection.interrupt)
        timer.start()
        try:
            relation = connection.sql(statement)
            table = pa.table({}) if relation is None else relation.limit(MAX_ROWS + 1).to_arrow_table()
        except duckdb.InterruptException:
            raise QueryLimit(
                f"cannot finish query in {self._timeout_s:g} s; ask for less, or raise sql.timeout"
            ) from None
        except duckdb.OutOfMemoryException as e:
            raise QueryLimit(f"cannot run query in {self._memory_bytes} bytes: {_first_line(e)}") from None
        except duckdb.Error as e:
            raise QueryError(f"cannot run query: {_clean(e)}") from None
        finally:
            timer.cancel()
        if table.num_rows > MAX_ROWS:
            raise QueryLimit(f"cannot answer with more than {MAX_ROWS} rows; add a LIMIT or aggregate")
        return table


def _only_select(sql: str) -> str:
    """The query if it is one statement that only reads. Raises: QueryError."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as e:
        raise QueryError(f"cannot parse query: {_clean(e)}") from None
    if len(statements) != 1:
        raise QueryError(f"cannot run {len(statements)} statements: send one SELECT")
    statement = statements[0]
    explained = re.sub(r"(?is)^\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?", "", sql)
    if statement.type == duckdb.StatementType.EXPLAIN and explained != sql:
        _only_select(explained)
    elif statement.type != duckdb.StatementType.SELECT:
        raise QueryError(f"cannot run {statement.type.name} statement: this endpoint only reads; send a SELECT")
    return sql


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _clean(error: Exception) -> str:
    """DuckDB's message, with its LINE and caret, without hints about its own installation."""
    return str(error).strip()
