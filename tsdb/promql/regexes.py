"""RE2 syntax, which PromQL speaks, to Python's: named classes, \\z, and the escapes that differ.

Regexes are anchored by whoever matches (`Matcher.matches` uses fullmatch).
"""

from __future__ import annotations

import re

_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7F", "blank": r"\t ", "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ",
    "upper": "A-Z", "word": r"0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_PARTS = re.compile(
    r"\[:(?P<posix>\^?\w+):\]|\\(?P<escape>[zC]|x\{(?P<hex>[0-9A-Fa-f]+)\})|\\.|\(\?<(?P<name>[A-Za-z_]\w*)>"
)


def translate(pattern: str) -> str:
    """The Python spelling of an RE2 pattern."""
    if "\\" in pattern or "[:" in pattern or "(?<" in pattern:
        pattern = _PARTS.sub(_part, pattern)
    return _scope_flags(pattern) if "(?" in pattern[1:] else pattern


_PIECES = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?P<flags>[imsU]+(?:-[imsU]+)?|-[imsU]+)\)|.", re.DOTALL)


def _scope_flags(pattern: str) -> str:
    """RE2 lets `(?i)` stand anywhere and hold to the end of its group; Python wants `(?i:…)` around what follows."""
    out: list[str] = []
    open_groups: list[list[str]] = [[]]  # per group, the flag scopes opened in it
    for match in _PIECES.finditer(pattern):
        piece = match.group()
        if match["flags"]:
            open_groups[-1].append(f"(?{match['flags'].replace('U', '')}:")
            out.append(open_groups[-1][-1])
        elif piece == "(":
            open_groups.append([])
            out.append(piece)
        elif piece == ")" and len(open_groups) > 1:
            out.append(")" * len(open_groups.pop()) + ")")
        elif piece == "|" and open_groups[-1]:
            out.append(")" * len(open_groups[-1]) + "|" + "".join(open_groups[-1]))
        else:
            out.append(piece)
    return "".join(out) + ")" * len(open_groups[0])


def _part(match: re.Match[str]) -> str:
    if match["posix"]:
        return _POSIX.get(match["posix"], match.group())
    if match["name"]:
        return f"(?P<{match['name']}>"
    if match["hex"]:
        return re.escape(chr(int(match["hex"], 16)))
    return {"z": r"\Z", "C": "."}.get(match["escape"] or "", match.group())
