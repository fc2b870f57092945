"""Go's own template functions, by name.

Source: pkg.go.dev/text/template, section "Functions".
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from obs.gotemplate.gotext import printf, text
from obs.gotemplate.walk import Function


def _same_kind(a: Any, b: Any) -> None:
    if type(a) is not type(b) or not isinstance(a, bool | int | float | str):
        raise ValueError("incompatible types for comparison")


def _eq(a: Any, *others: Any) -> bool:
    if not others:
        raise ValueError("missing argument for comparison")
    for other in others:
        _same_kind(a, other)
    return a in others


def _less(a: Any, b: Any) -> bool:
    _same_kind(a, b)
    return bool(a < b)


def _index(of: Any, *keys: Any) -> Any:
    for key in keys:
        of = of.get(key, "") if isinstance(of, Mapping) else of[key]
    return ord(of) if isinstance(of, str) and keys and isinstance(keys[-1], int) else of


def _print(*values: Any) -> str:
    """Spaces stand between operands of which neither is a text."""
    out = ""
    for i, value in enumerate(values):
        between = i and not isinstance(value, str) and not isinstance(values[i - 1], str)
        out += (" " if between else "") + text(value)
    return out


def _js(value: str) -> str:
    marks = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    return "".join(marks.get(c, c) for c in value)


GO_FUNCTIONS: Mapping[str, Function] = {
    "printf": printf,
    "print": _print,
    "println": lambda *values: " ".join(map(text, values)) + "\n",
    "html": lambda *values: html.escape(_print(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "urlquery": lambda *values: quote_plus(_print(*values)),
    "js": lambda *values: _js(_print(*values)),
    "eq": _eq,
    "ne": lambda a, b: not _eq(a, b),
    "lt": _less,
    "le": lambda a, b: _less(a, b) or a == b,
    "gt": lambda a, b: not _less(a, b) and a != b,
    "ge": lambda a, b: not _less(a, b),
    "len": len,
    "index": _index,
    "slice": lambda of, *ends: of[slice(*(ends if len(ends) > 1 else (*ends, None)))],
}
"""Those that need nothing but their arguments."""
