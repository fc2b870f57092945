"""Bodies as they arrive: what is whole is given, what is too large or too slow is refused, and gives its room back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from starlette.requests import Request

from obs.collector.body import read_body
from obs.collector.pipeline import Pipeline
from obs.errors import ObsError, TooLarge, TooSlow
from obs.serving.bodies import bounded

LIMIT, SECONDS = 100, 0.2
Message = MutableMapping[str, Any]


class Client:
    """Sends `pieces`, and then nothing more, or the end."""

    def __init__(self, *pieces: bytes, ends: bool = True) -> None:
        self._pieces = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        if ends:
            self._pieces[-1]["more_body"] = False

    async def receive(self) -> Message:
        """The next piece (ASGI)."""
        if not self._pieces:
            await asyncio.Event().wait()
        return self._pieces.pop(0)


def read(client: Client, **headers: str) -> bytes:
    pipeline = Pipeline({})
    scope = {"type": "http", "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]}

    async def run() -> bytes:
        with pipeline.room() as room:
            return await read_body(Request(scope, client.receive), LIMIT, room, SECONDS)

    try:
        return asyncio.run(run())
    finally:
        assert pipeline.in_flight_bytes == 0


def read_bounded(client: Client, **_: str) -> bytes:
    async def run() -> bytes:
        receive: Callable[[], Awaitable[Message]] = bounded(client.receive, LIMIT, SECONDS)
        return await Request({"type": "http", "headers": []}, receive).body()

    return asyncio.run(run())


readers = pytest.mark.parametrize("reader", [read, read_bounded])


@readers
def test_a_whole_body(reader: Callable[..., bytes]) -> None:
    assert reader(Client(b"a" * 60, b"b" * 40)) == b"a" * 60 + b"b" * 40


@readers
@pytest.mark.parametrize(
    ("client", "error", "said"),
    [
        (Client(b"a" * 60, b"b" * 41, ends=False), TooLarge, "101 bytes"),
        (Client(b"a", ends=False), TooSlow, "not whole after 0.2 s"),
    ],
    ids=["large", "slow"],
)
def test_others(reader: Callable[..., bytes], client: Client, error: type[ObsError], said: str) -> None:
    again = Client(*(piece["body"] for piece in client._pieces), ends=False)
    with pytest.raises(error, match=said):
        reader(again)


def test_a_large_body_is_refused_when_it_is_announced() -> None:
    with pytest.raises(TooLarge, match="500 bytes"):
        read(Client(b"", ends=False), content_length="500")
