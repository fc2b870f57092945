"""`/loki/api/v1/tail`: a websocket that sends the newest lines and then every line as it is taken in.

A line that is found and comes as taken in too is sent once (of lines equal in
all and taken in just as a tail begins, some may be taken for one). A bug ends the tail with code 1011 and is logged.

Source: Loki, "HTTP API", Stream logs: messages are {streams, dropped_entries}.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from obs.errors import ObsError, QueryError
from obs.logstore import limits, responses
from obs.logstore.follow import Follower
from obs.logstore.logql import LogQL
from obs.logstore.logql.records import LogEntry
from obs.logstore.params import HOUR_NS, Params, duration
from obs.logstore.store import LogStore

UNSUPPORTED_DATA, INTERNAL_ERROR = 1003, 1011
REASON_BYTES = 123
MOST_DELAY_S = 5
_log = logging.getLogger(__name__)


def add_tail(api: APIRouter, store: LogStore, logql: LogQL) -> None:
    """The websocket route."""

    @api.websocket("/api/v1/tail")
    async def tail(socket: WebSocket) -> None:
        given = Params({name: socket.query_params.getlist(name) for name in socket.query_params}, time.time_ns())
        await socket.accept()
        with store.follow() as follower:
            sending = asyncio.create_task(_send(socket, store, logql, follower, given))
            listening = asyncio.create_task(_until_closed(socket))
            await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
            for task in (sending, listening):
                task.cancel()
            for ended in await asyncio.gather(sending, listening, return_exceptions=True):
                if isinstance(ended, Exception):
                    await _broken(socket, ended)


async def _broken(socket: WebSocket, bug: Exception) -> None:
    """Log what nobody meant to happen, and tell the client if it is still there."""
    _log.error("cannot go on with the tail of %r", socket.query_params.get("query"), exc_info=bug)
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(INTERNAL_ERROR, "cannot go on with the tail: a bug in obs; its log says more")


async def _until_closed(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _send(socket: WebSocket, store: LogStore, logql: LogQL, follower: Follower, given: Params) -> None:
    categorize = responses.CATEGORIZE in socket.headers.get(responses.FLAGS_HEADER, "")
    try:
        query, limit = given.text("query"), given.limit()
        start = given.time_ns("start", given.now_ns - HOUR_NS)
        delay_s = _delay_s(given)
        first = await asyncio.to_thread(_newest, logql, query, start, limit)
        await _message(socket, first, 0, categorize)
        await asyncio.to_thread(store.settle)  # now the follower was offered all that was found
        found = Counter(map(_key, first))
        while True:
            entries, dropped = await asyncio.to_thread(_new, logql, query, follower)
            entries = _beyond(entries, found)
            if delay_s:
                entries.sort(key=lambda entry: entry.time_ns)
            found.clear()
            if entries or dropped:
                await _message(socket, entries, dropped, categorize)
            await asyncio.sleep(limits.FOLLOW_PAUSE_S + delay_s)
    except WebSocketDisconnect:
        return
    except ObsError as e:
        await socket.close(UNSUPPORTED_DATA, _reason(e))


def _delay_s(given: Params) -> float:
    """`delay_for`: how long lines are gathered, and then sent in the order of their times. Raises: QueryError."""
    text = given.text("delay_for", "0")
    seconds = duration("delay_for", text) / 1e9
    if not 0 <= seconds <= MOST_DELAY_S:
        raise QueryError(f"cannot delay a tail by {text[:40]!r}: it is from 0 to {MOST_DELAY_S} seconds")
    return seconds


def _reason(e: ObsError) -> str:
    """The first line of an error, as long as a frame that closes may be. Source: RFC 6455, 5.5."""
    return str(e).split("\n")[0].encode()[:REASON_BYTES].decode(errors="ignore")


def _newest(logql: LogQL, query: str, start_ns: int, limit: int) -> list[LogEntry]:
    """The newest lines so far, oldest first."""
    return list(reversed(logql.records(query, start_ns, 1 << 62, limit).entries))


def _new(logql: LogQL, query: str, follower: Follower) -> tuple[list[LogEntry], int]:
    batches, dropped = follower.take()
    return logql.records_of(query, batches), dropped


def _beyond(entries: list[LogEntry], found: Counter[tuple[Any, ...]]) -> list[LogEntry]:
    """The entries without those that were found, of equal ones as many as were."""
    new = []
    for entry in entries:
        key = _key(entry) if found else ()
        if found and found[key] > 0:
            found[key] -= 1
        else:
            new.append(entry)
    return new


def _key(entry: LogEntry) -> tuple[Any, ...]:
    return entry.time_ns, entry.line, entry.stream, tuple(entry.metadata.items())


async def _message(socket: WebSocket, entries: Sequence[LogEntry], dropped: int, categorize: bool) -> None:
    message: dict[str, Any] = {"streams": responses.stream_list(entries, categorize)}
    if categorize:
        message["encodingFlags"] = [responses.CATEGORIZE]
    if dropped:
        message["dropped_entries"] = [{"labels": {}, "timestamp": str(time.time_ns()), "count": dropped}]
    await socket.send_text(orjson.dumps(message).decode())
