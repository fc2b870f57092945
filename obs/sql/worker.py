"""The process that runs queries: DuckDB, with a bound on memory and time that the kernel holds it to.

DuckDB counts neither the texts that its functions make nor the time that it spends on parsing; the process is ended
where they pass the bound, and the server goes on. Started by `workers.py`; speaks `messages.py` on the socket whose
descriptor is its first argument, until that is closed.

    {"prepare": sql}                              → {"names": [tables that it reads]}, or null: not known
    {"run": sql, "views": [[name, sql]…], "folders": [path…]} and tables  → a table `rows`
    either                                        → {"error": class of obs.errors, "text"}

Every answer has `tired`: whether the next query would find less room than in a new process.
"""

from __future__ import annotations

import contextlib
import re
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from obs.errors import QueryError, QueryLimit, UserError
from obs.sql.confine import forbid_writing
from obs.sql.messages import Message, receive

MAX_ROWS = 1_000_000
"""Rows of one answer; an export of more belongs to the Parquet files themselves."""

_WORD = re.compile(rb"[A-Za-z_]+")

BATCH_ROWS = 2048
"""Rows fetched at one time: DuckDB's own vector. A result is weighed after each, since it grows outside of
DuckDB's memory limit."""

ROOM = 2
"""How many times its memory limit a query may take with what DuckDB does not count; past it, allocations fail."""

RESERVED_BYTES = 256 << 20
"""What stacks of threads and arenas of the allocator reserve without filling it, which counts as taken."""

OUT_OF_MEMORY = "Out of Memory Error"
"""How DuckDB's message begins where the memory limit is reached."""


def main() -> None:
    """Answer until the server closes its end."""
    fd, memory_bytes, timeout_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the server says when to end
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    forbid_writing()
    parser = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
    parser.execute("SELECT 1").fetchall()
    own, data = _resident_bytes(), _data_bytes()
    limit = data + ROOM * memory_bytes + RESERVED_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with socket.socket(fileno=fd) as server, contextlib.suppress(EOFError, TimeoutError):
        while True:
            text, tables = receive(server)
            signal.setitimer(signal.ITIMER_REAL, timeout_s)
            with Message() as answer:
                answered = _answered(answer, text, tables, parser, memory_bytes)
                del text, tables  # memory that the server shares with us
                signal.setitimer(signal.ITIMER_REAL, 0)
                kept = _resident_bytes() - own >= memory_bytes / 2
                reserved = _data_bytes() - data >= RESERVED_BYTES
                tired = kept or reserved or answered.get("error") == QueryLimit.__name__
                answer.send(server, {**answered, "tired": tired})


def _data_bytes() -> int:
    """What RLIMIT_DATA counts, as of now."""
    return _pages()[5] * resource.getpagesize()


def _resident_bytes() -> int:
    """What the process holds of its own, as of now."""
    pages = _pages()
    return (pages[1] - pages[2]) * resource.getpagesize()


def _pages() -> list[int]:
    """size, resident, shared, text, lib, data: see proc(5), statm."""
    with open("/proc/self/statm") as file:
        return [int(field) for field in file.read().split()]


def _answered(
    answer: Message,
    text: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
    parser: duckdb.DuckDBPyConnection,
    memory_bytes: int,
) -> Mapping[str, Any]:
    try:
        if "prepare" in text:
            return {"names": _prepared(text["prepare"], parser)}
        with _connected(text["views"], tables, text["folders"], memory_bytes) as connection:
            relation = connection.sql(text["run"])
            if relation is not None:
                _fetch(relation, answer, memory_bytes)
        return {}
    except UserError as e:
        return {"error": type(e).__name__, "text": str(e)}
    except MemoryError:
        return {"error": QueryLimit.__name__, "text": f"cannot run query in {memory_bytes} bytes"}
    except (duckdb.Error, pa.ArrowException, OSError) as e:  # Arrow's reader passes DuckDB's errors on as OSError
        said = str(e).strip()
        if said.startswith(OUT_OF_MEMORY) or "bad_alloc" in said:
            return {
                "error": QueryLimit.__name__,
                "text": f"cannot run query in {memory_bytes} bytes: {said.splitlines()[0]}",
            }
        return {"error": QueryError.__name__, "text": f"cannot run query: {said}"}


def _prepared(sql: str, parser: duckdb.DuckDBPyConnection) -> list[str] | None:
    """The names that a statement reads, where it is one SELECT. Raises: QueryError."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as e:
        raise QueryError(f"cannot parse query: {str(e).strip()}") from None
    if len(statements) != 1:
        raise QueryError(f"cannot run {len(statements)} statements: send one SELECT")
    statement, keywords = statements[0], _keywords(sql)
    if "copy" in keywords:
        raise QueryError('cannot run COPY: this endpoint only reads; a column of that name is written "copy"')
    if statement.type == duckdb.StatementType.EXPLAIN:
        if "analyze" in keywords:
            raise QueryError("cannot run EXPLAIN ANALYZE: this endpoint only reads; send EXPLAIN alone")
        return None  # nothing is run
    if statement.type != duckdb.StatementType.SELECT:
        raise QueryError(f"cannot run {statement.type.name} statement: this endpoint only reads; send a SELECT")
    try:
        return sorted(parser.get_table_names(sql))
    except duckdb.Error:  # DESCRIBE, SHOW, SUMMARIZE
        return None


def _keywords(sql: str) -> set[str]:
    """The keywords and plain names of a statement, in lower case; what is quoted is neither."""
    raw = sql.encode()
    return {m[0].decode().lower() for at, _ in duckdb.tokenize(sql) if (m := _WORD.match(raw, at)) is not None}


def _connected(
    views: Sequence[tuple[str, str]], tables: Mapping[str, pa.Table], folders: Sequence[str], memory_bytes: int
) -> duckdb.DuckDBPyConnection:
    """A new database with the views, read-only, which can open no file but those in `folders`."""
    connection = duckdb.connect(":memory:")
    allowed = ", ".join("'" + folder.replace("'", "''") + "'" for folder in folders)
    connection.execute(
        f"SET memory_limit='{memory_bytes // 1_000_000}MB'; SET threads=2; SET temp_directory='';"
        f"SET python_enable_replacements=false; SET TimeZone='UTC'; SET allowed_directories=[{allowed}];"
        "SET enable_external_access=false; SET enable_progress_bar=false;"
    )
    for name, table in tables.items():
        connection.register(name, table)
    for name, sql in views:
        connection.execute(f'CREATE VIEW "{name}" AS {sql}')
    connection.execute("SET lock_configuration=true")
    return connection


def _fetch(relation: duckdb.DuckDBPyRelation, answer: Message, memory_bytes: int) -> None:
    """All rows into the answer. Raises: QueryLimit as soon as they are too many or too large."""
    reader = relation.limit(MAX_ROWS + 1).to_arrow_reader(BATCH_ROWS)
    rows = nbytes = 0
    with answer.table("rows", reader.schema) as writer:
        for batch in reader:
            rows, nbytes = rows + batch.num_rows, nbytes + batch.nbytes
            if nbytes > memory_bytes:
                raise QueryLimit(f"cannot answer with more than {memory_bytes} bytes; add a LIMIT, or raise sql.memory")
            if rows > MAX_ROWS:
                raise QueryLimit(f"cannot answer with more than {MAX_ROWS} rows; add a LIMIT or aggregate")
            writer.write_batch(batch)


if __name__ == "__main__":
    main()
