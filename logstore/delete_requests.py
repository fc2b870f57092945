"""Requests to delete logs: each is done at once, its rows leave the disk in the background, and it is remembered.

A plain JSON file beside the blocks holds what was asked for, for whoever wants to know who deleted what.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from obs.errors import ObsError
from obs.logstore.store import LogStore

log = logging.getLogger(__name__)

RECEIVED, PROCESSED = "received", "processed"

MOST_KEPT = 10_000
"""Requests that are remembered; past it the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """One request, times in Unix ns."""

    request_id: str
    query: str
    start_ns: int
    end_ns: int
    created_ns: int
    status: str = RECEIVED


class DeleteRequests:
    """All requests of one store. Every method from any thread."""

    def __init__(self, store: LogStore, file: Path) -> None:
        self._store, self._file = store, file
        self._requests: list[DeleteRequest] = []
        self._lock = threading.Lock()
        self._cleaning = threading.Lock()
        self._read()

    def all(self) -> list[DeleteRequest]:
        """What was asked for, the oldest first."""
        with self._lock:
            return list(self._requests)

    def add(self, query: str, start_ns: int, end_ns: int) -> DeleteRequest:
        """Hide the records for good. Raises: QueryError, Unavailable, StorageFull."""
        self._store.delete(query, start_ns, end_ns)
        request = DeleteRequest(secrets.token_hex(4), query, start_ns, end_ns, self._store.clock.now_ns())
        with self._lock:
            self._requests = [*self._requests, request][-MOST_KEPT:]
            self._write()
        threading.Thread(target=self._clean, name="logs-clean", daemon=True).start()
        return request

    def _clean(self) -> None:
        """Take what is hidden off the disk, one after the other."""
        with self._cleaning:
            asked = {r.request_id for r in self.all() if r.status == RECEIVED}
            if not asked:
                return
            try:
                self._store.clean()
            except ObsError as e:
                log.warning("deleted logs stay on disk until the next merge: %s", e)
                return
            with self._lock:
                self._requests = [replace(r, status=PROCESSED) if r.request_id in asked else r for r in self._requests]
                self._write()

    def _read(self) -> None:
        try:
            self._requests = [DeleteRequest(**each) for each in orjson.loads(self._file.read_bytes())]
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError) as e:
            log.error("cannot read %s: %s; its list of deletes begins anew, what was deleted stays so", self._file, e)

    def _write(self) -> None:
        staged = self._file.with_suffix(".tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            staged.write_bytes(orjson.dumps([asdict(request) for request in self._requests]))
            os.replace(staged, self._file)
        except OSError as e:
            log.error("cannot write %s: %s; the delete is done all the same", self._file, e.strerror)
