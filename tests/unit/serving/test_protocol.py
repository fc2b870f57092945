"""Connections to a real server: heads that are too long or too slow end theirs, and no one else's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from obs.serving.front import AsgiApp, Front, not_found
from obs.serving.protocol import MAX_HEAD_BYTES, BoundedHttp
from obs.serving.sockets import listen

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


class Impatient(BoundedHttp):
    """Waits for a head, and for a further request, only for a moment."""

    head_s = 0.3
    idle_s = 0.3
    linger_s = 0.3


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with serving(BoundedHttp) as address:
        yield address


@pytest.fixture(scope="module")
def impatient() -> Iterator[tuple[str, int]]:
    with serving(Impatient) as address:
        yield address


@contextmanager
def serving(http: type[BoundedHttp], app: AsgiApp | None = None) -> Iterator[tuple[str, int]]:
    sock = listen("127.0.0.1:0", "listen")
    app = app or Front([], not_found)
    config: Any = uvicorn.Config(app, log_config=None, lifespan="off", http=http, timeout_keep_alive=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    yield sock.getsockname()
    server.should_exit = True
    thread.join()


def exchange(address: tuple[str, int], sent: bytes, ends: bool = False) -> bytes:
    """All that the server says until it closes the connection; `ends`: we say that we will send no more."""
    with socket.create_connection(address, timeout=20) as client:
        said = b""
        try:
            client.sendall(sent)
            if ends:
                client.shutdown(socket.SHUT_WR)
            while piece := client.recv(1 << 16):
                said += piece
        except ConnectionError:  # closed while we were still sending
            pass
        return said


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", b""),
        (GET, b"HTTP/1.1 408 "),
        (GET + b"\r\n" + GET, b"HTTP/1.1 404 "),
    ],
    ids=["nothing", "half a head", "half a second head"],
)
def test_a_head_that_does_not_end(impatient: tuple[str, int], sent: bytes, said: bytes) -> None:
    answer = exchange(impatient, sent)
    assert answer[: len(said)] == said
    assert bool(answer) is bool(said)


@pytest.mark.parametrize("more", [b"x" * (MAX_HEAD_BYTES + (1 << 20)), b"x: y\r\n" * 400_000], ids=["one", "many"])
def test_a_head_that_is_too_long(address: tuple[str, int], more: bytes) -> None:
    assert exchange(address, GET + b"X: " + more).startswith(b"HTTP/1.1 431 ")


def test_others_are_served(address: tuple[str, int]) -> None:
    assert exchange(address, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("sent", "answers"),
    [(b"\r\n", 1), (b"\r\n" + GET + b"\r\n", 2), (b"Content-Length: 5\r\n\r\n12345", 1), (b"X: y", 0)],
    ids=["one", "two", "with a body", "half a head"],
)
def test_who_sends_no_more_is_answered(address: tuple[str, int], sent: bytes, answers: int) -> None:
    assert exchange(address, GET + sent, ends=True).count(b"HTTP/1.1 404 ") == answers


def test_an_idle_connection_is_kept_longer_than_clients_keep_it(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(GET + b"\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 404 ")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert BoundedHttp.idle_s > 300  # Prometheus's


def test_an_idle_connection_is_closed_in_the_end(impatient: tuple[str, int]) -> None:
    assert exchange(impatient, GET + b"\r\n").startswith(b"HTTP/1.1 404 ")


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    """Answers before the body is there."""
    await PlainTextResponse("too large", 413, {"Connection": "close"})(scope, receive, send)


def test_who_is_refused_while_sending_hears_why() -> None:
    body = bytes(30 << 20)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with serving(BoundedHttp, refusing) as address:
        assert exchange(address, head + body).startswith(b"HTTP/1.1 413 ")


def test_who_does_not_stop_sending_is_cut_off() -> None:
    with serving(Impatient, refusing) as address, socket.create_connection(address, timeout=20) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n")
        with pytest.raises(ConnectionError):
            while True:
                client.sendall(bytes(1 << 20))
