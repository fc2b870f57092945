"""`tail` over a real websocket: what was there, then what comes; a wrong query closes with its reason."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pytest
import uvicorn
import websockets
from fastapi import FastAPI
from log_recipes import Record, logs_batch

from obs.logstore.api import router
from obs.logstore.delete_requests import DeleteRequests
from obs.logstore.logql import LogQL
from obs.logstore.logql.records import LogEntry
from obs.logstore.store import LogStore
from obs.model.clock import SYSTEM_CLOCK


def record(text: str, service: str = "cart") -> Record:
    return Record(SYSTEM_CLOCK.now_ns(), text, {"service.name": service}, {"n": 1}, "INFO")


@asynccontextmanager
async def serving(store: LogStore, logql: LogQL | None = None) -> AsyncIterator[str]:
    app = FastAPI()
    app.include_router(
        router(store, logql or LogQL(store), DeleteRequests(store, store.engine.folder / "deletes.json"))
    )
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    task = asyncio.create_task(server.serve([bound]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"ws://127.0.0.1:{bound.getsockname()[1]}/loki/api/v1/tail?query="
    server.should_exit = True
    await task


async def lines(tail: websockets.ClientConnection, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        message = json.loads(await asyncio.wait_for(tail.recv(), 20))
        found += [value[1] for stream in message["streams"] for value in stream["values"]]
    return found


@pytest.fixture
def store(tmp_path: Path) -> AsyncIterator[LogStore]:
    store = LogStore(tmp_path)
    store.open()
    yield store
    store.close()


def test_tail_sends_old_and_new_lines(store: LogStore) -> None:
    async def follow() -> None:
        store.consume(logs_batch([record("old one"), record("elsewhere", "ad")]))
        query = quote('{service_name="cart"} |= "one"')
        async with serving(store) as url, websockets.connect(url + query) as tail:
            assert await lines(tail, 1) == ["old one"]
            store.consume(logs_batch([record("two"), record("new one"), record("one more", "ad")]))
            store.consume(logs_batch([record("last one")]))
            assert await lines(tail, 2) == ["new one", "last one"]
        assert store._followers == []

    asyncio.run(follow())


def test_a_wrong_query_closes_with_its_reason(store: LogStore) -> None:
    async def follow() -> None:
        async with serving(store) as url, websockets.connect(url + quote("{a=")) as tail:
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await asyncio.wait_for(tail.recv(), 20)
            assert "cannot parse LogQL" in closed.value.rcvd.reason

    asyncio.run(follow())


class Faulty(LogQL):
    def records_of(self, query: str, batches: Sequence[pa.RecordBatch]) -> list[LogEntry]:
        raise ZeroDivisionError(query) if batches else AssertionError("asked for nothing")


def test_a_bug_is_logged_and_ends_the_tail_with_its_code(store: LogStore, caplog: pytest.LogCaptureFixture) -> None:
    async def follow() -> None:
        async with serving(store, Faulty(store)) as url, websockets.connect(url + "{}") as tail:
            await asyncio.wait_for(tail.recv(), 20)
            store.consume(logs_batch([record("one")]))
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await asyncio.wait_for(tail.recv(), 20)
            assert closed.value.rcvd.code == 1011
        assert store._followers == []

    asyncio.run(follow())
    (said,) = [r for r in caplog.records if r.name == "obs.logstore.tail"]
    assert said.getMessage() == "cannot go on with the tail of '{}'"
    assert said.exc_info is not None


def test_equal_lines_come_as_often_as_they_are(store: LogStore) -> None:
    async def follow() -> None:
        same = record("the same")
        store.consume(logs_batch([same, same]))
        async with serving(store) as url, websockets.connect(url + "{}") as tail:
            assert await lines(tail, 2) == ["the same"] * 2
            store.consume(logs_batch([record("another")]))
            assert await lines(tail, 1) == ["another"]
            store.consume(logs_batch([same, same]))
            assert await lines(tail, 2) == ["the same"] * 2

    asyncio.run(follow())


def test_a_tail_waits_for_what_is_found_and_not_offered_yet(store: LogStore) -> None:
    store._in_flight.add("batch")
    done = threading.Event()
    waiting = threading.Thread(target=lambda: (store.settle(), done.set()))
    waiting.start()
    store._in_flight.add("a later one")
    assert not done.wait(0.05)
    with store._offered:
        store._in_flight.discard("batch")
        store._offered.notify_all()
    assert done.wait(5)
    store._in_flight.clear()
    waiting.join()


def test_delayed_lines_come_in_the_order_of_time(store: LogStore) -> None:
    async def follow() -> None:
        first, second = record("first"), record("second")
        async with serving(store) as url, websockets.connect(url + "{}&delay_for=0.3") as tail:
            await asyncio.wait_for(tail.recv(), 20)
            store.consume(logs_batch([record("any")]))
            await lines(tail, 1)
            store.consume(logs_batch([second]))
            store.consume(logs_batch([first]))
            assert await lines(tail, 2) == ["first", "second"]
        async with serving(store) as url, websockets.connect(url + "{}&delay_for=6") as tail:
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await asyncio.wait_for(tail.recv(), 20)
            assert "from 0 to 5 seconds" in closed.value.rcvd.reason

    asyncio.run(follow())


def test_a_client_that_stops_reading_holds_nobody_up(store: LogStore) -> None:
    async def follow() -> None:
        async with (
            serving(store) as url,
            websockets.connect(url + "{}", compression=None, max_queue=1, max_size=None) as stalled,
            websockets.connect(url + "{}", compression=None, max_size=None) as reading,
        ):
            store.consume(logs_batch([record("first")]))
            assert await lines(reading, 1) == ["first"]
            for i in range(20):  # 120 MB, of which the socket and its buffers take few
                await asyncio.to_thread(store.consume, logs_batch([record(f"{i} " + "x" * (6 << 20))]))
                assert (await lines(reading, 1))[0].startswith(f"{i} ")
            assert max(follower._held for follower in store._followers) <= 36 << 20
            dropped = 0
            while not dropped:
                message = json.loads(await asyncio.wait_for(stalled.recv(), 20))
                dropped += sum(entry["count"] for entry in message.get("dropped_entries", ()))
            assert dropped > 5

    asyncio.run(follow())


def test_a_slow_follower_loses_the_oldest_and_says_so(store: LogStore) -> None:
    with store.follow() as follower:
        for i in range(300):
            store.consume(logs_batch([record(f"line {i}")]))
        batches, dropped = follower.take()
        assert (len(batches), dropped) == (256, 44)
        assert follower.take() == ([], 0)


def test_a_slow_follower_holds_few_bytes(store: LogStore) -> None:
    with store.follow() as follower:
        for _ in range(5):
            store.consume(logs_batch([record("x" * (10 << 20))]))
        batches, dropped = follower.take()
        assert (len(batches), dropped) == (3, 2)
