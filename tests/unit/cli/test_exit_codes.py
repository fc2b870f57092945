"""What `obs` says and how it exits: the codes that docs/cli.md promises, words and never a traceback."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from obs.cli.main import main
from obs.cli.query import rows
from obs.client import QueryResult

USAGE, UNREACHED = 2, 3


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
