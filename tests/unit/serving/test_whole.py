"""Requests that are taken whole, over real connections: answers in order, bodies in pieces, ones that do not end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import Queue
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from obs.collector.crew import Crew
from obs.serving.front import Front, not_found
from obs.serving.protocol import BoundedHttp
from obs.serving.sockets import listen

PATH = b"/take"
LIMIT = 100_000


class Impatient(BoundedHttp):
    """Waits for a body only for a moment."""

    body_s = 0.3


class Echo:
    """Answers with the size and the last byte of what it takes whole; larger bodies come the usual way."""

    def __init__(self) -> None:
        self.crew = Crew(2, "echo")
        self.left: Queue[str] = Queue()
        self.room = 1 << 30

    def begin(self, headers: Mapping[bytes, bytes], nbytes: int) -> Visit | None:
        return Visit(self) if nbytes <= LIMIT else None

    async def usual(self, request: Request) -> Response:
        body = await request.body()
        return PlainTextResponse(f"usual {len(body)}")


class Visit:
    def __init__(self, echo: Echo) -> None:
        self.echo = echo

    def more(self, nbytes: int) -> Response | None:
        self.echo.room -= nbytes
        return PlainTextResponse("no room", 429) if self.echo.room < 0 else None

    def take(self, body: bytes, answer: Callable[[Response], None]) -> None:
        text = f"whole {len(body)} {body[-1:].decode()}"
        response = PlainTextResponse(text) if body[:5] != b"quiet" else Response(status_code=204)
        self.echo.crew.do(lambda: answer(response))

    def too_slow(self, seconds: float) -> Response:
        return PlainTextResponse(f"not whole after {seconds:g} s", 408)

    def leave(self) -> None:
        self.echo.left.put("left")


@contextmanager
def serving(http: type[BoundedHttp]) -> Iterator[tuple[tuple[str, int], Echo]]:
    echo, sock = Echo(), listen("127.0.0.1:0", "listen")
    front = Front([Route(PATH.decode(), echo.usual, methods=["POST"])], not_found, takers={PATH: echo})
    config: Any = uvicorn.Config(front, log_config=None, lifespan="off", http=http, proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    yield sock.getsockname(), echo
    server.should_exit = True
    thread.join()
    echo.crew.close()


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[tuple[str, int], Echo]]:
    with serving(BoundedHttp) as found:
        yield found


def post(body: bytes, *more: bytes) -> bytes:
    head = [b"POST /take HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join([*head, b"", body])


def exchange(address: tuple[str, int], *pieces: bytes) -> bytes:
    """All that the server says to these pieces and the end of what we send."""
    with socket.create_connection(address, timeout=20) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
        said = b""
        while piece := client.recv(1 << 16):
            said += piece
        return said


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        ([post(b"abc")], [b"whole 3 c"]),
        ([post(b"")], [b"whole 0 "]),
        ([post(b"x" * 90_000 + b"y")], [b"whole 90001 y"]),
        ([post(b"x" * 90_000 + b"y")[:70_000], post(b"x" * 90_000 + b"y")[70_000:]], [b"whole 90001 y"]),
        ([post(b"x" * (LIMIT + 1))], [b"usual 100001"]),
        ([post(b"ab"), post(b"cd"), post(b"efg")], [b"whole 2 b", b"usual 2", b"usual 3"]),
        ([post(b"x" * (LIMIT + 1)) + post(b"ab")], [b"usual 100001", b"usual 2"]),
        ([post(b"quiet") + post(b"ab", b"Connection: close")], [b"204 No Content", b"usual 2"]),
    ],
    ids=["one", "empty", "large", "in pieces", "too large", "three at once", "after a usual one", "quiet, then last"],
)
def test_answers_come_in_order(server: tuple[tuple[str, int], Echo], sent: list[bytes], answers: list[bytes]) -> None:
    said = exchange(server[0], b"".join(sent)) if len(sent) == 3 else exchange(server[0], *sent)
    assert said.count(b"HTTP/1.1 20") == len(answers)
    at = 0
    for answer in answers:
        at = said.index(answer, at) + 1


@pytest.mark.parametrize(
    "head", [b"Expect: 100-continue", b"Connection: upgrade\r\nUpgrade: nothing"], ids=["expect", "upgrade"]
)
def test_what_is_out_of_the_ordinary_comes_the_usual_way(server: tuple[tuple[str, int], Echo], head: bytes) -> None:
    assert b"whole" not in exchange(server[0], post(b"abc", head))


def test_chunks_come_the_usual_way(server: tuple[tuple[str, int], Echo]) -> None:
    sent = b"POST /take HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert exchange(server[0], sent).endswith(b"usual 3")


def test_a_connection_serves_many(server: tuple[tuple[str, int], Echo]) -> None:
    with socket.create_connection(server[0], timeout=20) as client:
        for size in range(1, 50):
            client.sendall(post(b"z" * size))
            assert f"whole {size} z".encode() in client.recv(1 << 16)


def test_who_goes_away_is_noticed(server: tuple[tuple[str, int], Echo]) -> None:
    exchange(server[0], post(b"x" * 1000)[:-1])
    assert server[1].left.get(timeout=20) == "left"


@pytest.mark.parametrize("end", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["alone", "then another"])
def test_a_body_that_there_is_no_room_for(end: bytes) -> None:
    with serving(BoundedHttp) as (address, echo):
        echo.room = 90_000
        said = exchange(address, post(b"x" * LIMIT)[:80_000], post(b"x" * LIMIT)[80_000:] + end)
    assert said.startswith(b"HTTP/1.1 429 ") and said.endswith(b"no room") and b"connection: close" in said


def test_a_body_that_does_not_end() -> None:
    with serving(Impatient) as (address, _), socket.create_connection(address, timeout=20) as client:
        client.sendall(post(b"x" * 1000)[:-1])
        said = b""
        while piece := client.recv(1 << 16):
            said += piece
    assert said.startswith(b"HTTP/1.1 408 ") and b"not whole after 0.3 s" in said and b"connection: close" in said
