"""Script text → commands: load, clear, and evals with what they expect. Pure.

Source: https://github.com/prometheus/prometheus/blob/main/promql/promqltest/README.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from obs.tsdb.promql.cursor import Cursor
from obs.tsdb.promql.durations import signed
from obs.tsdb.promql.lengths import Span


@dataclass(frozen=True, slots=True)
class Expect:
    """One expectation of an annotation or failure: warn, info, fail, no_warn, no_info; text and how it compares."""

    what: str
    mode: str = ""  # "", "msg", "regex"
    text: str = ""

    def accepts(self, message: str) -> bool:
        """Whether a message is what was expected."""
        if self.mode == "msg":
            return message == self.text
        if self.mode == "regex":
            return re.search(self.text, message) is not None
        return True


@dataclass(slots=True)
class Command:
    """load, clear or eval; `line` is where it stands, `body` the lines below it."""

    verb: str
    line: int
    gap_ms: int = 0
    query: str = ""
    start_ms: int = 0
    end_ms: int = 0
    step_ms: int = 0
    instant: bool = True
    nhcb: bool = False
    ordered: bool = False
    string: str | None = None
    grid: tuple[int, int, int] | None = None  # `expect range vector from … to … step …`
    expects: list[Expect] = field(default_factory=list)
    body: list[str] = field(default_factory=list)


class ScriptError(Exception):
    """A script that does not read."""


_INSTANT = re.compile(r"eval(?:_(\w+))?\s+instant\s+(?:at\s+(\S+))?\s+(.+)", re.DOTALL)
_RANGE = re.compile(r"eval(?:_(\w+))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)", re.DOTALL)
_LOAD = re.compile(r"(load|load_with_nhcb)\s+(\S+)")
_EXPECT = re.compile(r"expect\s+(\w+)(?:\s+(msg|regex):\s*(.*))?(?:\s+(.*))?")
_GRID = re.compile(r"expect\s+range\s+vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)")


def parse_script(path: Path) -> list[Command]:
    """The commands of a script file."""
    commands: list[Command] = []
    for number, raw in enumerate(path.read_text(encoding="utf-8", errors="surrogateescape").split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            if not line and commands:
                commands.append(Command("blank", number))
            continue
        command = _command(line, number)
        if command is not None:
            commands.append(command)
        elif commands and commands[-1].verb in ("load", "eval"):
            _continue(commands[-1], line)
        else:
            raise ScriptError(f"{path.name}:{number}: cannot read {line!r}")
    return [c for c in commands if c.verb != "blank"]


def _command(line: str, number: int) -> Command | None:
    if line == "clear":
        return Command("clear", number)
    if m := _LOAD.fullmatch(line):
        return Command("load", number, gap_ms=duration(m[2]), nhcb=m[1] == "load_with_nhcb")
    if m := _INSTANT.fullmatch(line):
        at = duration(m[2] or "0s")
        return _with_mode(Command("eval", number, query=m[3], start_ms=at, end_ms=at), m[1])
    if m := _RANGE.fullmatch(line):
        start, end, step = (duration(m[i]) for i in (2, 3, 4))
        command = Command("eval", number, query=m[5], start_ms=start, end_ms=end, step_ms=step, instant=False)
        return _with_mode(command, m[1])
    return None


def _with_mode(command: Command, mode: str | None) -> Command:
    if mode == "ordered":
        command.ordered = True
    elif mode in ("fail", "warn", "info"):
        command.expects.append(Expect(mode))
    return command


def _continue(command: Command, line: str) -> None:
    if m := _GRID.fullmatch(line):
        command.grid = (duration(m[1]), duration(m[2]), duration(m[3]))
    elif m := re.fullmatch(r"expected_fail_(message|regexp)\s+(.*)", line):
        command.expects.append(Expect("fail", "msg" if m[1] == "message" else "regex", m[2]))
    elif line.startswith("expect ") and (m := _EXPECT.fullmatch(line)):
        _expect(command, m)
    else:
        command.body.append(line)


def _expect(command: Command, m: re.Match[str]) -> None:
    if m[1] == "ordered":
        command.ordered = True
    elif m[1] == "string":
        cursor = Cursor(m[4])
        command.string = cursor.string()
    else:
        command.expects.append(Expect(m[1], m[2] or "", (m[3] or "").strip()))


def duration(text: str) -> int:
    """Milliseconds of a duration or of a number of seconds."""
    return signed(Cursor(text), Span(0, 0))[0]
