"""One SQL query over the stores' views, read-only, limited in time and memory, in a process of its own.

In: SQL text. Out: an Arrow table. The database can open no file but the stores' blocks, and no network.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from obs.columnar.filenames import BLOCKS
from obs.errors import Overloaded, QueryError
from obs.sql.views import SqlSource
from obs.sql.workers import Worker, Workers

MAX_SQL_BYTES = 32 << 10
"""Length of a query: DuckDB parses and binds in a time that grows with its square."""

AT_ONE_TIME = 2
"""Queries running at one time, each with its own memory: DuckDB fills a core with each."""

WAIT_S = 5.0
"""How long others wait for their turn before they are told to come back."""

T = TypeVar("T")


class SqlEngine:
    """Runs queries over `sources`, whose folders stand in `folder`. `memory_bytes` and `timeout_s` bound each one."""

    def __init__(self, sources: Sequence[SqlSource], folder: Path, memory_bytes: int, timeout_s: float) -> None:
        self._sources = sources
        self._folder = folder
        self._workers = Workers(memory_bytes, timeout_s)
        self._turns = threading.BoundedSemaphore(AT_ONE_TIME)

    def query(self, sql: str) -> pa.Table:
        """The rows of one SELECT (or WITH, FROM, DESCRIBE, SHOW, SUMMARIZE, VALUES, EXPLAIN of one).

        Raises: QueryError (does not parse, or writes), QueryLimit (time, memory or rows), Overloaded.
        """
        return self.answer(sql, lambda table: table)

    def answer(self, sql: str, write: Callable[[pa.Table], T]) -> T:
        """What `write` makes of the rows of `query`, while the query has its turn: writing them takes memory too."""
        if len(sql.encode(errors="replace")) > MAX_SQL_BYTES:
            raise QueryError(
                f"cannot run query of more than {MAX_SQL_BYTES} bytes; join or filter by a subquery instead"
            )
        with self._turn(), self._workers.one() as worker:
            return write(self._rows(worker, sql))

    def close(self) -> None:
        """End the processes."""
        self._workers.close()

    def _rows(self, worker: Worker, sql: str) -> pa.Table:
        told, _ = worker.ask({"prepare": sql}, {})
        with contextlib.ExitStack() as stack:
            views = [v for source in self._used(told["names"]) for v in stack.enter_context(source.sql_views())]
            text = {"run": sql, "views": [(view.name, view.sql) for view in views], "folders": self._folders()}
            _, found = worker.ask(text, {name: table for view in views for name, table in view.arrow.items()})
        return found.get("rows", pa.table({}))

    def _used(self, names: Sequence[str] | None) -> Sequence[SqlSource]:
        """The stores that a query reads: all of them where it may ask what there is."""
        known = {name: source for source in self._sources for name in source.sql_names}
        asked = {name.lower() for name in names or ()}
        if not asked or not asked <= known.keys():
            return self._sources
        return list({id(known[name]): known[name] for name in asked}.values())

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=WAIT_S):
            raise Overloaded(f"cannot run query now: {AT_ONE_TIME} others are running; ask again", WAIT_S)
        try:
            yield
        finally:
            self._turns.release()

    def _folders(self) -> list[str]:
        """The folders of blocks: all else in the data folder (WAL, alerts, agent) is not for queries."""
        return [f"{path.resolve()}/" for path in sorted(self._folder.glob(f"*/{BLOCKS}"))]
