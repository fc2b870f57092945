"""A real webhook for tests: keeps what it was sent and answers as it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class Hook:
    """`status` and `retry_after` are what it answers; it answers while `open` is set."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status, self.retry_after, self.asked = 200, "", 0
        self.open = Event()
        self.open.set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        """Let go of whoever waits, and of the port."""
        self.open.set()
        self.server.shutdown()
        self.server.server_close()


def _handler(hook: Hook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.asked += 1
            hook.open.wait(10)
            if hook.status < 300:
                hook.bodies.append(body)
            self.send_response(hook.status)
            if hook.retry_after:
                self.send_header("Retry-After", hook.retry_after)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def listening() -> Iterator[Hook]:
    """A webhook that is closed afterwards."""
    hook = Hook()
    try:
        yield hook
    finally:
        hook.close()
