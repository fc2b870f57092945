"""Quoted texts of LogQL, and errors that show their place."""

from __future__ import annotations

import re
import sys
from typing import NoReturn

from obs.errors import QueryError

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"', "'": "'"}


def fail(text: str, line: int, column: int, cause: str) -> NoReturn:
    """An error of a query at a place. Raises: QueryError."""
    shown = text.split("\n")[line - 1] if line <= len(text.split("\n")) else ""
    message = f"{line}:{column}: cannot parse LogQL {text!r}: {cause}\n  {shown}\n  {' ' * (column - 1)}^"
    raise QueryError(message, (line, column))


def unquote(text: str) -> str:
    """The text between quotes: Go's escapes in double quotes, none in back quotes.

    Raises: ValueError where an escape is none, or no character.
    """
    if text[0] == "`":
        return text[1:-1]
    return _ESCAPE.sub(_unescape, text[1:-1])


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    if code[0] in "xuU" and len(code) > 1:
        point = int(code[1:], 16)
        if point > sys.maxunicode or 0xD800 <= point < 0xE000:
            raise ValueError(f"cannot read escape {match.group()!r}: it is no character; write the character itself")
        return chr(point)
    if len(code) == 3:
        return chr(int(code, 8))
    if code not in _ESCAPED:
        said = match.group()
        raise ValueError(f"cannot read escape '{said}': there is none; write '\\{said}', or the text in back quotes")
    return _ESCAPED[code]
