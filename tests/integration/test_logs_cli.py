"""`obs logs` against a running server: pages, the lines around a line, the plan, and following."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import obs_command
import pytest
from obs_process import ObsProcess

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
