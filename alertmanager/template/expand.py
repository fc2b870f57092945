"""Templates expanded: text with {{ actions }} over `$labels` and `$value` → text.

Actions: a pipeline of terms and functions, `if … else if … else … end`, comments, variables, trim marks.
A template that cannot be expanded becomes the error's text, as in Prometheus: an alert must go out all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from obs.alertmanager.template.functions import FUNCTIONS, text

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|`[^`]*`|:=|[|()]|[^\s|()]+)')
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


class TemplateError(ValueError):
    """A template that cannot be expanded; the message says why."""


def expand(template: str, labels: Mapping[str, str], value: float) -> str:
    """The template's text for one element of an alert's vector."""
    if "{{" not in template:
        return template
    scope: dict[str, Any] = {"$labels": labels, "$value": value, "$externalLabels": {}, "$externalURL": ""}
    scope["."] = {"Labels": labels, "Value": value, "ExternalLabels": {}, "ExternalURL": ""}
    try:
        return _Template(template, scope).run()
    except (TemplateError, ValueError, TypeError, KeyError, IndexError, OverflowError, re.error) as e:
        return f"<error expanding template: {e}>"


class _Template:
    """One expansion: a walk over the pieces, with a stack of `if` blocks."""

    def __init__(self, template: str, scope: dict[str, Any]) -> None:
        self._pieces = list(_pieces(template))
        self._scope = scope
        self._out: list[str] = []
        self._blocks: list[list[bool]] = []  # per open `if`: [this branch runs, a branch has run]

    def run(self) -> str:
        for kind, content in self._pieces:
            if kind == "action":
                self._action(content)
            elif self._running():
                self._out.append(content)
        if self._blocks:
            raise TemplateError("an `if` has no `end`")
        return "".join(self._out)

    def _running(self) -> bool:
        return all(branch[0] for branch in self._blocks)

    def _action(self, action: str) -> None:
        word, _, rest = action.partition(" ")
        if word == "if":
            taken = self._running() and bool(self._pipeline(rest))
            self._blocks.append([taken, taken or not self._running()])
        elif word == "else":
            self._else(rest.strip())
        elif word == "end":
            if not self._blocks:
                raise TemplateError("`end` without `if`")
            self._blocks.pop()
        elif self._running() and not action.startswith("/*"):
            self._print(action)

    def _else(self, condition: str) -> None:
        if not self._blocks:
            raise TemplateError("`else` without `if`")
        branch = self._blocks[-1]
        branch[0] = not branch[1] and (not condition or bool(self._pipeline(condition.removeprefix("if "))))
        branch[1] = branch[1] or branch[0]

    def _print(self, action: str) -> None:
        name, assigned, rest = action.partition(":=")
        if assigned and name.strip().startswith("$"):
            self._scope[name.strip()] = self._pipeline(rest)
        else:
            self._out.append(text(self._pipeline(action)))

    def _pipeline(self, source: str) -> Any:
        tokens = _TOKEN.findall(source)
        value, rest = self._pipe(tokens)
        if rest:
            raise TemplateError(f"unexpected {rest[0]!r} in {source!r}")
        return value

    def _pipe(self, tokens: list[str]) -> tuple[Any, list[str]]:
        value, tokens = self._command(tokens, [])
        while tokens and tokens[0] == "|":
            value, tokens = self._command(tokens[1:], [value])
        return value, tokens

    def _command(self, tokens: list[str], piped: list[Any]) -> tuple[Any, list[str]]:
        if not tokens:
            raise TemplateError("an action is empty")
        if tokens[0] in FUNCTIONS:
            name, tokens, values = tokens[0], tokens[1:], []
            while tokens and tokens[0] not in "|)":
                value, tokens = self._term(tokens)
                values.append(value)
            return FUNCTIONS[name](*values, *piped), tokens
        if piped:
            raise TemplateError(f"function {tokens[0]!r} not defined")
        return self._term(tokens)

    def _term(self, tokens: list[str]) -> tuple[Any, list[str]]:
        token, rest = tokens[0], tokens[1:]
        if token == "(":
            value, rest = self._pipe(rest)
            if not rest or rest[0] != ")":
                raise TemplateError("a parenthesis is not closed")
            return value, rest[1:]
        if token[0] in "$.":
            return self._path(token), rest
        return _literal(token), rest

    def _path(self, token: str) -> Any:
        head, *fields = token.split(".")
        value = self._scope["."] if not head else self._scope.get(head)
        if head and head not in self._scope:
            raise TemplateError(f"undefined variable {head!r}")
        for name in filter(None, fields):
            if not isinstance(value, Mapping):
                raise TemplateError(f"cannot take field {name!r} of {token!r}")
            value = value.get(name, "")
        return value


def _pieces(template: str) -> Iterator[tuple[str, str]]:
    """("text" | "action", content); `{{-` and `-}}` trim the text beside them."""
    end, trim = 0, False
    for match in _ACTION.finditer(template):
        piece = template[end : match.start()]
        piece = piece.lstrip() if trim else piece
        yield "text", piece.rstrip() if match[0].startswith("{{-") else piece
        yield "action", match[1]
        end, trim = match.end(), match[0].endswith("-}}")
    yield "text", template[end:].lstrip() if trim else template[end:]


def _literal(token: str) -> Any:
    if token[0] == '"':
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), token[1:-1])
    if token[0] == "`":
        return token[1:-1]
    if token in ("true", "false"):
        return token == "true"
    try:
        return int(token) if re.fullmatch(r"[-+]?\d+", token) else float(token)
    except ValueError:
        raise TemplateError(f"function {token!r} not defined") from None
