"""Template text → pieces: text and actions, actions as tokens.

Source: pkg.go.dev/text/template, sections "Text and spaces" and "Actions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


class TemplateError(ValueError):
    """A template that cannot be read or expanded; the message says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an action; `kind` is a name of `_TOKEN`'s groups, `spaced`: white space stands before it."""

    kind: str
    text: str
    spaced: bool


Piece = str | tuple[Token, ...]

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\.)+')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))
    |(?P<variable>\$\w*)
    |(?P<field>\.[^\W\d]\w*)
    |(?P<dot>\.)
    |(?P<word>[^\W\d]\w*)
    |(?P<mark>:=|[=|(),])""",
    re.VERBOSE,
)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def pieces(template: str) -> Iterator[Piece]:
    """The template's texts and actions in order; comments are gone, trimmed white space too."""
    at, trim = 0, False
    while (start := template.find("{{", at)) >= 0:
        trims_before = template.startswith("{{- ", start) or template.startswith(("{{-\n", "{{-\t"), start)
        yield _trimmed(template[at:start], trim, trims_before)
        tokens, at, trim = _action(template, start + 2 + trims_before)
        if tokens:
            yield tokens
    yield _trimmed(template[at:], trim, False)


def _trimmed(text: str, before: bool, after: bool) -> str:
    text = text.lstrip() if before else text
    return text.rstrip() if after else text


def _action(template: str, at: int) -> tuple[tuple[Token, ...], int, bool]:
    """The tokens of the action that begins at `at`, where the text goes on, and whether that is trimmed."""
    tokens: list[Token] = []
    comment = _COMMENT.match(template, _past_space(template, at))
    if comment:
        at = comment.end()
    while True:
        begin = _past_space(template, at)
        if begin > at and template.startswith("-}}", begin):
            return tuple(tokens), begin + 3, True
        if template.startswith("}}", begin):
            if not tokens and not comment:
                raise TemplateError("missing value for command")
            return tuple(tokens), begin + 2, False
        match = _TOKEN.match(template, begin)
        if not match or comment:
            raise TemplateError("unclosed action" if begin >= len(template) else f"unexpected {template[begin]!r}")
        tokens.append(Token(str(match.lastgroup), match[0], begin > at))
        at = match.end()


def _past_space(template: str, at: int) -> int:
    while at < len(template) and template[at].isspace():
        at += 1
    return at
