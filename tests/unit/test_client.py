"""The HTTP client against a real server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from obs.client import ClientError, ObsClient

ANSWERS: dict[str, tuple[int, object]] = {
    "/api/v1/query": (200, {"status": "success", "data": {"resultType": "vector", "result": []}, "infos": ["empty"]}),
    "/api/v1/query_range": (400, {"status": "error", "errorType": "bad_data", "error": "1:5: cannot parse\n  ^"}),
    "/api/v1/label/__name__/values": (200, {"status": "success", "data": ["up"]}),
    "/api/v1/rules": (200, {"status": "success", "data": {"groups": [{"name": "g"}]}}),
    "/loki/api/v1/labels": (200, {"status": "success"}),
    "/api/traces/search": (200, {"traces": [{"traceId": "ab"}]}),
    "/api/traces/ab%2Fc": (404, {"detail": "no such trace"}),
    "/jaeger/api/services/a%20b/operations": (200, {"data": ["GET /", {"name": "POST /"}]}),
    "/api/sql": (200, {"columns": ["a"], "rows": [[1]]}),
    "/api/status": (500, {}),
}


class Handler(BaseHTTPRequestHandler):
    """Answers from ANSWERS and remembers what was asked."""

    def do_GET(self) -> None:
        """Parameters stand in the URL."""
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        """Parameters stand in a form."""
        self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _answer(self, query: str) -> None:
        path = urlsplit(self.path).path
        self.server.asked.append((self.command, path, parse_qs(query)))  # type: ignore[attr-defined]
        status, value = ANSWERS.get(path, (200, "<html>"))
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(server: ThreadingHTTPServer) -> ObsClient:
    return ObsClient(f"127.0.0.1:{server.server_address[1]}", timeout_s=5)


def test_a_query_result_carries_its_notes(client: ObsClient) -> None:
    result = client.prometheus.query("up")
    assert (result.kind, result.result, result.notes) == ("vector", [], ("empty",))


def test_none_parameters_are_left_out_and_repeats_kept(client: ObsClient, server: ThreadingHTTPServer) -> None:
    assert client.prometheus.label_values("__name__", match=["a", "b"]) == ["up"]
    assert server.asked == [("GET", "/api/v1/label/__name__/values", {"match[]": ["a", "b"]})]  # type: ignore[attr-defined]


def test_long_queries_are_posted(client: ObsClient, server: ThreadingHTTPServer) -> None:
    client.prometheus.query("x" * 5000)
    assert server.asked[0][0] == "POST"  # type: ignore[attr-defined]
    assert server.asked[0][2] == {"query": ["x" * 5000]}  # type: ignore[attr-defined]


def test_other_shapes(client: ObsClient) -> None:
    assert client.prometheus.rules() == [{"name": "g"}]
    assert client.loki.labels() == []
    assert client.traces.search(tags={"a": "b"}) == [{"traceId": "ab"}]
    assert client.traces.operations("a b") == ["GET /", "POST /"]
    assert client.sql("select 1")["rows"] == [[1]]


def test_the_servers_own_words_are_the_error(client: ObsClient) -> None:
    with pytest.raises(ClientError, match="cannot parse") as caught:
        client.prometheus.query_range("up up", 0, 1, 1)
    assert (caught.value.status, caught.value.kind) == (400, "bad_data")
    with pytest.raises(ClientError, match="no such trace") as caught:
        client.traces.trace("ab/c")
    assert caught.value.status == 404


def test_an_error_without_words_and_an_answer_that_is_no_json(client: ObsClient) -> None:
    with pytest.raises(ClientError, match="the server answered 500"):
        client.status()
    with pytest.raises(ClientError, match="is this obs"):
        client.notified_alerts()


def test_nobody_there_says_what_to_do(server: ThreadingHTTPServer) -> None:
    import socket

    with socket.socket() as taken:  # bound and not listening: refused, and nobody else gets the port meanwhile
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ClientError, match="is `obs up` running"):
            ObsClient(f"http://127.0.0.1:{taken.getsockname()[1]}").status()


def test_a_bad_address_is_refused_at_once() -> None:
    with pytest.raises(ClientError, match="cannot use address 'ftp://x'"):
        ObsClient("ftp://x")
