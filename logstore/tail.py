"""`/loki/api/v1/tail`: a websocket that sends the newest lines and then every line as it is taken in.

Source: Loki, "HTTP API", Stream logs: messages are {streams, dropped_entries}.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from obs.errors import ObsError
from obs.logstore import limits, responses
from obs.logstore.follow import Follower
from obs.logstore.logql import LogQL
from obs.logstore.logql.records import LogEntry
from obs.logstore.params import HOUR_NS, Params
from obs.logstore.store import LogStore

UNSUPPORTED_DATA = 1003
REASON_BYTES = 123


def add_tail(api: APIRouter, store: LogStore, logql: LogQL) -> None:
    """The websocket route."""

    @api.websocket("/api/v1/tail")
    async def tail(socket: WebSocket) -> None:
        given = Params({name: socket.query_params.getlist(name) for name in socket.query_params}, time.time_ns())
        await socket.accept()
        with store.follow() as follower:
            sending = asyncio.create_task(_send(socket, logql, follower, given))
            listening = asyncio.create_task(_until_closed(socket))
            await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
            for task in (sending, listening):
                task.cancel()
            await asyncio.gather(sending, listening, return_exceptions=True)


async def _until_closed(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _send(socket: WebSocket, logql: LogQL, follower: Follower, given: Params) -> None:
    categorize = responses.CATEGORIZE in socket.headers.get(responses.FLAGS_HEADER, "")
    try:
        query, limit = given.text("query"), given.limit()
        start = given.time_ns("start", given.now_ns - HOUR_NS)
        first = await asyncio.to_thread(_newest, logql, query, start, limit)
        await _message(socket, first, 0, categorize)
        seen = {_key(entry) for entry in first}
        while True:
            entries, dropped = await asyncio.to_thread(_new, logql, query, follower)
            entries = [e for e in entries if _key(e) not in seen] if seen else entries
            seen = set() if entries else seen
            if entries or dropped:
                await _message(socket, entries, dropped, categorize)
            await asyncio.sleep(limits.FOLLOW_PAUSE_S)
    except WebSocketDisconnect:
        return
    except ObsError as e:
        await socket.close(UNSUPPORTED_DATA, _reason(e))


def _reason(e: ObsError) -> str:
    """The first line of an error, as long as a frame that closes may be. Source: RFC 6455, 5.5."""
    return str(e).split("\n")[0].encode()[:REASON_BYTES].decode(errors="ignore")


def _newest(logql: LogQL, query: str, start_ns: int, limit: int) -> list[LogEntry]:
    """The newest lines so far, oldest first. What is taken in meanwhile comes twice: `_key` tells."""
    return list(reversed(logql.records(query, start_ns, 1 << 62, limit).entries))


def _new(logql: LogQL, query: str, follower: Follower) -> tuple[list[LogEntry], int]:
    batches, dropped = follower.take()
    return logql.records_of(query, batches), dropped


def _key(entry: LogEntry) -> tuple[Any, ...]:
    return entry.time_ns, entry.line, entry.stream, tuple(entry.metadata.items())


async def _message(socket: WebSocket, entries: Sequence[LogEntry], dropped: int, categorize: bool) -> None:
    message: dict[str, Any] = {"streams": responses.stream_list(entries, categorize)}
    if categorize:
        message["encodingFlags"] = [responses.CATEGORIZE]
    if dropped:
        message["dropped_entries"] = [{"labels": {}, "timestamp": str(time.time_ns()), "count": dropped}]
    await socket.send_text(orjson.dumps(message).decode())
