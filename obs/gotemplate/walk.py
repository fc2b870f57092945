"""A template's tree and what it is given → text.

Source: pkg.go.dev/text/template, sections "Actions" and "Pipelines".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from obs.errors import ObsError
from obs.gotemplate.gotext import Sample, text, truth
from obs.gotemplate.lexer import TemplateError
from obs.gotemplate.tree import Block, Call, Include, Leave, Literal, Node, Path, Pipe, Sub, Term, Text

Function = Callable[..., Any]

OF_THE_WALK = ("and", "or", "not")
"""Functions that the walk does itself: `and` and `or` stop at the first argument that decides."""

MAX_DEPTH = 100
"""Templates within templates; one that includes itself ends here."""


@dataclass(frozen=True, slots=True)
class Element:
    """The dot at a template's beginning."""

    fields: Mapping[str, Any]


class _Left(Exception):
    """A `break` or `continue` on its way to its `range`."""


class Walk:
    """One expansion: a walk over the tree with the variables known at each place."""

    def __init__(
        self, defined: Mapping[str, Sequence[Node]], functions: Mapping[str, Function], given: dict[str, Any]
    ) -> None:
        self._defined = defined
        self._functions = functions
        self._scopes = [given]
        self._out: list[str] = []
        self._depth = 0

    def text(self, body: Sequence[Node], dot: Any) -> str:
        """The text of a body with this dot. Raises: TemplateError."""
        self._nodes(body, dot)
        return "".join(self._out)

    def _nodes(self, nodes: Sequence[Node], dot: Any) -> None:
        for node in nodes:
            if isinstance(node, Text):
                self._out.append(node.text)
            elif isinstance(node, Block):
                self._block(node, dot)
            elif isinstance(node, Leave):
                raise _Left(node.kind)
            elif isinstance(node, Include):
                self._include(node, dot)
            else:
                value = self._pipe(node.pipe, dot)
                if not node.pipe.names:
                    self._out.append("<no value>" if value is None else text(value))

    def _block(self, block: Block, dot: Any) -> None:
        self._scopes.append({})
        if block.kind == "range":
            self._range(block, dot)
        else:
            value = self._pipe(block.pipe, dot)
            inner = value if block.kind == "with" and truth(value) else dot
            self._nodes(block.body if truth(value) else block.otherwise, inner)
        self._scopes.pop()

    def _range(self, block: Block, dot: Any) -> None:
        pairs = list(_pairs(self._commands(block.pipe, dot)))
        depth = len(self._scopes)
        for key, value in pairs:
            names = block.pipe.names
            values = (key, value) if len(names) == 2 else (value,)
            self._set(block.pipe, dict(zip(names, values, strict=False)))
            self._scopes.append({})
            try:
                self._nodes(block.body, value)
            except _Left as left:
                if str(left) == "break":
                    return
            finally:
                del self._scopes[depth:]
        if not pairs:
            self._nodes(block.otherwise, dot)

    def _include(self, node: Include, dot: Any) -> None:
        if node.name not in self._defined:
            raise TemplateError(f"template {node.name!r} not defined")
        if self._depth >= MAX_DEPTH:
            raise TemplateError(f"exceeded maximum template depth ({MAX_DEPTH})")
        inner = self._pipe(node.pipe, dot) if node.pipe else None
        outer, self._scopes, self._depth = self._scopes, [{"$": inner}], self._depth + 1
        self._nodes(self._defined[node.name], inner)
        self._scopes, self._depth = outer, self._depth - 1

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        value = self._commands(pipe, dot)
        self._set(pipe, dict.fromkeys(pipe.names, value))
        return value

    def _set(self, pipe: Pipe, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            scope = self._scopes[-1] if pipe.declares else next(s for s in reversed(self._scopes) if name in s)
            scope[name] = value

    def _commands(self, pipe: Pipe, dot: Any) -> Any:
        value = self._command(pipe.commands[0], dot, ())
        for command in pipe.commands[1:]:
            value = self._command(command, dot, (value,))
        return value

    def _command(self, terms: Sequence[Term], dot: Any, piped: Sequence[Any]) -> Any:
        head = terms[0]
        if not isinstance(head, Call):
            return self._term(head, dot)
        if head.name in OF_THE_WALK:
            return self._logic(head.name, terms[1:], dot, piped)
        return self._call(head.name, *(self._term(t, dot) for t in terms[1:]), *piped)

    def _call(self, name: str, *values: Any) -> Any:
        try:
            return self._functions[name](*values)
        except (ObsError, ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, re.error) as e:
            raise TemplateError(f"error calling {name}: {e}") from None

    def _logic(self, name: str, terms: Sequence[Term], dot: Any, piped: Sequence[Any]) -> Any:
        rest = iter([*terms, *(Literal(v) for v in piped)])
        value = self._term(next(rest, Literal(None)), dot)
        if name == "not":
            return not truth(value)
        for term in rest:
            if truth(value) is (name == "or"):
                return value
            value = self._term(term, dot)
        return value

    def _term(self, term: Term, dot: Any) -> Any:
        if isinstance(term, Literal):
            return term.value
        if isinstance(term, Sub):
            return _fields(self._commands(term.pipe, dot), term.fields)
        if isinstance(term, Call):
            return self._command((term,), dot, ())
        return _fields(self._variable(term, dot), term.fields)

    def _variable(self, path: Path, dot: Any) -> Any:
        if not path.variable:
            return dot
        return next((s[path.variable] for s in reversed(self._scopes) if path.variable in s), None)


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    """What `range` goes over."""
    if isinstance(value, Mapping):
        return iter(sorted(value.items()))
    if isinstance(value, list | tuple):
        return enumerate(value)
    if value is None:
        return iter(())
    raise TemplateError(f"range can't iterate over {text(value)}")


def _fields(value: Any, names: Sequence[str]) -> Any:
    for name in names:
        if isinstance(value, Mapping):
            value = value.get(name, "")
        elif isinstance(value, Sample | Element) and name in value.fields:
            value = value.fields[name]
        else:
            raise TemplateError(f"can't evaluate field {name}")
    return value
