"""Which lines are one record: indented lines, stack traces of Python, Java and Go, or everything up to a first line.

A state machine over the lines of one stream; pure, without time. `Continuation.takes` is asked line by line.
"""

from __future__ import annotations

import re
from enum import Enum

from obs.agent.logs.severity import WARN, guess_severity

PYTHON_HEADER = "Traceback (most recent call last):"
_PYTHON_CHAIN = re.compile(r"During handling of the above exception|The above exception was the direct cause")
_JAVA = re.compile(r"Caused by: |Suppressed: |\.\.\. \d+ (?:more|common frames)")
_JAVA_EXCEPTION = re.compile(r"(?:[a-z][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error)\b")
_GO_PANIC = re.compile(r"panic: |fatal error: ")
_GO_LINE = re.compile(r"goroutine \d+ |\[signal |created by |exit status |panic: |[\w./*()\[\]]+\(.*\)$|\s")


class _Inside(Enum):
    NOTHING = 0
    PYTHON = 1  # after the header, before the line that names the exception
    PYTHON_END = 2  # after that line; only a chained traceback may follow
    PYTHON_CHAIN = 3  # after "During handling…"; the next header belongs to this record
    GO = 4


class Continuation:
    """Decides whether a line continues the record before it. `first_line`: a regex that begins a record."""

    def __init__(self, first_line: re.Pattern[str] | None = None) -> None:
        self._first_line = first_line
        self._inside = _Inside.NOTHING
        self._first = ""

    def begin(self, line: str) -> None:
        """`line` begins a record."""
        self._first = line
        if line.startswith(PYTHON_HEADER):
            self._inside = _Inside.PYTHON
        elif _GO_PANIC.match(line):
            self._inside = _Inside.GO
        else:
            self._inside = _Inside.NOTHING

    def takes(self, line: str) -> bool:
        """Whether `line` belongs to the present record."""
        if self._first_line is not None:
            return self._first_line.search(line) is None
        if not line.strip() or line[0] in " \t":
            return True
        if self._inside is _Inside.PYTHON:
            self._inside = _Inside.PYTHON_END
            return True
        if self._inside is _Inside.PYTHON_END and _PYTHON_CHAIN.match(line):
            self._inside = _Inside.PYTHON_CHAIN
            return True
        if line.startswith(PYTHON_HEADER):
            return self._begins_trace()
        if self._inside is _Inside.GO:
            return _GO_LINE.match(line) is not None
        return bool(_JAVA.match(line)) or (bool(_JAVA_EXCEPTION.match(line)) and self._is_bad())

    def _is_bad(self) -> bool:
        """Whether the record reports something that a stack trace may explain; asked seldom, so guessed late."""
        return guess_severity(self._first) >= WARN

    def _begins_trace(self) -> bool:
        """A header continues a chain, or the line that reported the error; else it is the next record."""
        belongs = self._inside is _Inside.PYTHON_CHAIN or (self._inside is _Inside.NOTHING and self._is_bad())
        if belongs:
            self._inside = _Inside.PYTHON
        return belongs
