"""`obs logs` against a running server: pages, the lines around a line, the plan, and following."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator

import obs_command
import pytest
from obs_process import ObsProcess

from obs.cli.following import Written, beyond, follow
from obs.client import ObsClient

LINES = [f"line {i}" for i in range(30)]
BEGAN = time.time_ns() - 60 * 10**9


def push(obs: ObsProcess, lines: list[str], first_ns: int, step_ns: int = 10**9) -> None:
    values = [[str(first_ns + i * step_ns), line] for i, line in enumerate(lines)]
    body = json.dumps({"streams": [{"stream": {"app": "cart"}, "values": values}]}).encode()
    request = urllib.request.Request(f"{obs.url}/loki/api/v1/push", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    with ObsProcess(tmp_path_factory.mktemp("cli") / "data") as process:
        push(process, LINES[:15], BEGAN)
        process.client.flush()
        push(process, LINES[15:], BEGAN + 15 * 10**9)
        yield process


def logs(obs: ObsProcess, *words: str) -> obs_command.Done:
    return obs_command.obs("logs", *words, server=obs.url)


def run(obs: ObsProcess, *words: str) -> tuple[list[str], str]:
    """The lines of what is written, without times and sources, and what is noted."""
    done = logs(obs, *words)
    assert done.returncode == 0, done.stderr
    return [line.split("cart  ")[-1] for line in done.stdout.splitlines()], done.stderr


def test_limits_are_told_and_all_is_all(obs: ObsProcess) -> None:
    newest, noted = run(obs, "line", "--limit", "4")
    assert newest == LINES[-4:]
    assert noted.startswith("only 4 records: older ones match too")
    assert run(obs, "line", "--limit", "4", "--oldest")[0] == LINES[:4]
    assert run(obs, "line", "--limit", "4", "--all") == (LINES, "")
    assert run(obs, "line", "--limit", "30") == (LINES, "")


def test_the_lines_around(obs: ObsProcess) -> None:
    marked = logs(obs, '"line 15"', "-C", "2")
    shown = [(line[:2], line.split("cart  ")[1]) for line in marked.stdout.splitlines()]
    assert shown == [("> " if i == 15 else "  ", f"line {i}") for i in range(13, 18)]


def test_names_of_columns_come_once(obs: ObsProcess) -> None:
    for words in (("line", "--all", "--limit", "7"), ('{app="cart"} |~ "line [12]$"', "-C", "1")):
        written, _ = run(obs, *words, "-o", "csv")
        assert [line.startswith("time,") for line in written] == [True] + [False] * (len(written) - 1)
        assert len(written) > 3


def test_lines_that_the_query_made_are_found_in_their_stream(obs: ObsProcess) -> None:
    marked = logs(obs, '{app="cart"} |= "line 15" | line_format "got {{__line__}}"', "-C", "1")
    assert [(line[:2], line.split("cart  ")[1]) for line in marked.stdout.splitlines()] == [
        ("  ", "line 14"), ("> ", "line 15"), ("  ", "line 16"),
    ]  # fmt: skip


def test_why_a_query_is_not_followed(obs: ObsProcess) -> None:
    done = logs(obs, '{app="' + "é" * 200, "-f")
    assert (done.returncode, done.stderr.startswith("1:6: cannot parse LogQL")) == (2, True)


def test_the_plan(obs: ObsProcess) -> None:
    written, _ = run(obs, "--explain", 'sum by (app) (rate({service_name="cart"} |= "timeout" [5m]))')
    assert written[0] == "rate over 5m, grouped by (app)"
    assert any("prune row groups" in line for line in written)


def test_following(obs: ObsProcess) -> None:
    words = ["logs", '{app="cart"} |= "line"', "-f", "--limit", "2", "--server", obs.url]
    argv = [sys.executable, "-m", "obs.cli.main", *words]
    followed = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert followed.stdout is not None
        assert [followed.stdout.readline().rstrip()[-7:] for _ in range(2)] == LINES[-2:]
        push(obs, ["new line", "elsewhere", "another line"], time.time_ns(), 0)
        assert followed.stdout.readline().endswith("new line\n")
        assert followed.stdout.readline().endswith("another line\n")
    finally:
        followed.terminate()
        followed.wait(20)


class Line:
    """A connection to a server that can be cut and made again."""

    def __init__(self, port: int) -> None:
        self._port, self._open, self._ends = port, True, list[socket.socket]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            if not self._open:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._port))
            self._ends += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(a, b), daemon=True).start()

    def _copy(self, a: socket.socket, b: socket.socket) -> None:
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            end.close()

    def cut(self) -> None:
        self._open = False
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def mend(self) -> None:
        self._open = True


def test_a_lost_connection_loses_and_doubles_no_line(obs: ObsProcess) -> None:
    line = Line(int(obs.url.rsplit(":", 1)[1]))
    follower = follow(ObsClient(line.url), '{app="cart"} |= "torn"', BEGAN, 2)
    now = time.time_ns()
    push(obs, [f"torn {i}" for i in range(4)], now, 1)
    shown = Counter(r[1] for r in next(follower))
    assert shown == {"torn 2": 1, "torn 3": 1}
    push(obs, ["torn live"], now + 10)
    while not shown["torn live"]:
        shown.update(r[1] for r in next(follower))
    line.cut()
    push(obs, [f"torn between {i}" for i in range(150)], now + 20, 1)
    push(obs, ["torn late", "torn late"], now + 5, 0)
    line.mend()
    while sum(shown.values()) < 2 + 1 + 150 + 2:
        shown.update(r[1] for r in next(follower))
    push(obs, ["torn end"], now + 30 * 10**9)
    while not shown["torn end"]:
        shown.update(r[1] for r in next(follower))
    between = {f"torn between {i}": 1 for i in range(150)}
    told = {"torn 2": 1, "torn 3": 1, "torn live": 1, "torn late": 2, "torn end": 1}
    assert shown == {**told, **between}
    line.cut()


def test_what_was_written_is_forgotten_from_some_time_on() -> None:
    written = Written(most=2)
    written.add([(5, "a", {}), (6, "b", {"x": "1"}), (6, "b", {"x": "1"})])
    assert written.floor_ns == 6
    left = written.count.copy()
    again = [(5, "a", {}), (6, "b", {"x": "1"}), (6, "b", {"x": "2"}), *[(6, "b", {"x": "1"})] * 2]
    assert beyond(again, left) == [(5, "a", {}), (6, "b", {"x": "2"}), (6, "b", {"x": "1"})]
