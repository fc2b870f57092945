"""Pages as they come over HTTP: whole ones are taken, the others are told in words."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import pytest

from obs.collector.receivers.scrape.config import parse as jobs
from obs.collector.receivers.scrape.fetching import ScrapeError, fetch, request_options
from obs.collector.receivers.scrape.targets import targets_of

PAGE = b"a 1\n" * 1000
PACKED = gzip.compress(PAGE)
ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/plain": (200, {}, PAGE),
    "/gzip": (200, {"Content-Encoding": "gzip"}, PACKED),
    "/cut": (200, {"Content-Encoding": "gzip"}, PACKED[:-10]),
    "/other": (200, {"Content-Encoding": "br"}, PAGE),
    "/short": (200, {"Content-Length": "9999"}, PAGE),
    "/round": (302, {"Location": "/round"}, b""),
    "/away": (302, {"Location": "/gzip"}, b""),
    "/gone": (404, {}, PAGE),
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = ANSWERS[self.path]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def got(address: str, path: str, **settings: Any) -> bytes:
    (job,) = jobs([{"job_name": "j", "metrics_path": path, **settings}])
    ((target,), _) = targets_of(job, [({"__address__": address},)])

    async def once() -> tuple[bytes, str]:
        async with aiohttp.ClientSession() as session:
            return await fetch(session, target, request_options(job))

    return asyncio.run(once())[0]


@pytest.mark.parametrize("path", ["/plain", "/gzip", "/away"])
def test_whole_pages(address: str, path: str) -> None:
    assert got(address, path) == PAGE


@pytest.mark.parametrize(
    ("path", "settings", "said"),
    [
        ("/cut", {}, "cannot inflate gzip body"),
        ("/other", {}, "cannot read content encoding 'br'"),
        ("/short", {}, "the connection ended before the page did"),
        ("/round", {}, "stopped after 10 redirects"),
        ("/gone", {}, "server returned HTTP status 404 Not Found"),
        ("/plain", {"body_size_limit": "3KB"}, "body_size_limit of 3072 bytes"),
        ("/gzip", {"body_size_limit": "3KB"}, "body_size_limit of 3072 bytes"),
    ],
)
def test_others_are_told(address: str, path: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ScrapeError) as raised:
        got(address, path, **settings)
    assert said in str(raised.value)


def test_nobody_there() -> None:
    with pytest.raises(ScrapeError) as raised:
        got("127.0.0.1:1", "/metrics")
    assert str(raised.value) == "cannot get 'http://127.0.0.1:1/metrics': connection refused"
