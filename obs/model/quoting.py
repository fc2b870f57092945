"""Strings as Go quotes them: in label sets that Prometheus and Loki write.

Source: go.dev/ref/spec, "String literals".
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_NAMED = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}


def unquoted(text: str) -> str:
    """The value of a quoted string of Go; bytes that are no UTF-8 become lone surrogates."""
    body = text[1:-1]
    if "\\" not in body:
        return body
    return _ESCAPE.sub(_unescaped, body).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "uU" and len(code) > 1:
        return chr(int(code[1:], 16))
    if len(code) == 1:
        return chr(_NAMED.get(code, ord(code)))
    byte = int(code[1:], 16) if code[0] == "x" else int(code, 8) & 0xFF
    return bytes([byte]).decode("utf-8", "surrogateescape")


def quoted(text: str) -> str:
    """Text as Go quotes it, as far as lines need it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
