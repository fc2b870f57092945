"""What `obs` says and how it exits: the codes that docs/cli.md promises, words and never a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from obs.cli.main import main
from obs.cli.query import rows
from obs.client import QueryResult

FAILED, USAGE, UNREACHED = 1, 2, 3


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["obs", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["logs", "x", "--start", "nan"], "cannot read time 'nan'"),
        (["logs", "x", "--start", "inf"], "cannot read time 'inf'"),
        (["logs", "x", "--end", "1e300"], "cannot use time '1e300'"),
        (["logs", "x", "--start=-1e300"], "cannot use time '-1e300'"),
        (["query", "up", "--start", "0000-01-01"], "cannot read time"),
        (["query", "up", "--start", "-1h", "--step", "soon"], "cannot read duration 'soon'"),
        (["query", "up", "--server", "ftp://host"], "cannot use address"),
        (["query", "up", "--server", "http://host:port"], "cannot use address"),
        (["query", "up", "--server", "http://[::1"], "cannot use address"),
        (["compact", "--data", "nothing-here"], "cannot compact 'nothing-here'"),
    ],
)
def test_faulty_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *words) == USAGE
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["query", "up"], ["logs", "x"], ["sql", "SELECT 1"], ["trace", "ab"], ["doctor"]])
def test_nobody_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert run(monkeypatch, *words, "--server", address) == UNREACHED
    assert "is `obs up` running?" in capsys.readouterr().err


def test_times_past_the_year_9999_are_numbers() -> None:
    assert rows(QueryResult("scalar", [253402300800, "1"])) == [("", "253402300800.0", "1")]


class Rubbish(BaseHTTPRequestHandler):
    """Answers whatever it is asked with the server's `said`."""

    def do_GET(self) -> None:
        """The same every time."""
        status, body = self.server.said  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def rubbish() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Rubbish)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "said",
    [
        (200, b"5"),
        (200, b"null"),
        (200, b'[["x"]]'),
        (200, b"[" * 100_000),
        (200, b"<html>"),
        (200, b'{"data": 5, "stores": {}}'),
        (200, b'{"data": {"resultType": "vector", "result": [{}]}, "spans": [], "columns": 5, "rows": 5}'),
        (302, b"elsewhere"),
    ],
    ids=lambda said: f"{said[0]} {said[1][:20]!r}",
)
@pytest.mark.parametrize("words", [["query", "up"], ["logs", "x"], ["sql", "SELECT 1"], ["trace", "ab"], ["doctor"]])
def test_another_server_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rubbish: ThreadingHTTPServer,
    words: list[str], said: tuple[int, bytes],
) -> None:  # fmt: skip
    rubbish.said = said  # type: ignore[attr-defined]
    address = f"127.0.0.1:{rubbish.server_address[1]}"
    assert run(monkeypatch, *words, "--server", address) == (FAILED if said[0] == 302 else UNREACHED)
    error = capsys.readouterr().err
    assert error.startswith("elsewhere" if said[0] == 302 else "cannot read the answer of"), error


@pytest.mark.parametrize(("to", "said"), [("/dev/full", b"cannot go on: [Errno 28]"), (None, b"")])
def test_nobody_reads_the_result(rubbish: ThreadingHTTPServer, to: str | None, said: bytes) -> None:
    point = b'{"metric": {"__name__": "up"}, "value": [1, "1"]}'
    points = b", ".join([point] * 10_000)
    rubbish.said = 200, b'{"data": {"resultType": "vector", "result": [%b]}}' % points  # type: ignore[attr-defined]
    server = f"http://127.0.0.1:{rubbish.server_address[1]}"
    argv = [sys.executable, "-m", "obs.cli.main", "query", "up", "-o", "csv", "--server", server]
    with open(to or os.devnull, "wb") as file, subprocess.Popen(
        argv, stdout=file if to else subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:  # fmt: skip
        if process.stdout is not None:
            process.stdout.close()
        assert process.stderr is not None
        error = process.stderr.read()
        assert process.wait(60) == FAILED
    assert error.startswith(said)
    assert bool(error) is bool(said)


def test_a_terminal_of_few_signs(rubbish: ThreadingHTTPServer) -> None:
    rubbish.said = 200, '{"columns": ["a"], "rows": [["€"]]}'.encode()  # type: ignore[attr-defined]
    argv = [sys.executable, "-m", "obs.cli.main", "sql", "x", "--server", f"127.0.0.1:{rubbish.server_address[1]}"]
    done = subprocess.run(argv, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, timeout=60)
    assert (done.returncode, done.stderr, b"\\u20ac" in done.stdout) == (0, b"", True)
