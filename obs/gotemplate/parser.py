"""Template text → tree, by recursive descent; an unknown function or variable is an error here already.

Source: pkg.go.dev/text/template, sections "Actions", "Arguments", "Pipelines" and "Variables".
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from obs.gotemplate.lexer import Piece, TemplateError, Token, pieces
from obs.gotemplate.tree import (
    Block,
    Call,
    Include,
    Leave,
    Literal,
    Node,
    Path,
    Pipe,
    Print,
    Sub,
    Term,
    Text,
    Tree,
)  # fmt: skip

BLOCKS = ("if", "with", "range")
_CONSTANTS = {"true": True, "false": False, "nil": None}


@lru_cache(maxsize=4096)
def parse(template: str, functions: frozenset[str], variables: tuple[str, ...] = ("$",)) -> Tree:
    """The tree of a template that may use these functions, and variables from outside. Raises: TemplateError."""
    return _Parser(pieces(template), functions, variables).tree()


class _Parser:
    """One walk over the pieces; `_scopes` are the variables known at this place."""

    def __init__(self, found: Iterable[Piece], functions: frozenset[str], variables: Sequence[str]) -> None:
        self._pieces = list(found)
        self._functions = functions
        self._at = 0
        self._known = list(variables)
        self._loops = 0
        self._defined: dict[str, Sequence[Node]] = {}

    def tree(self) -> Tree:
        body, end = self._list()
        if end:
            raise TemplateError(f"unexpected {{{{{end[0].text}}}}}")
        return Tree(body, self._defined)

    def _list(self) -> tuple[Sequence[Node], Sequence[Token]]:
        """Nodes up to an `else`, an `end` or the text's end, and the action that ended them."""
        nodes: list[Node] = []
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if isinstance(piece, str):
                nodes.append(Text(piece))
            elif piece[0].text in ("else", "end") and piece[0].kind == "word":
                return nodes, piece
            else:
                nodes += self._action(piece)
        return nodes, ()

    def _action(self, tokens: Sequence[Token]) -> list[Node]:
        word = tokens[0].text if tokens[0].kind == "word" else ""
        if word in BLOCKS:
            return [self._block(word, tokens[1:])]
        if word in ("break", "continue") and len(tokens) == 1:
            if not self._loops:
                raise TemplateError(f"{{{{{word}}}}} outside {{{{range}}}}")
            return [Leave(word)]
        if word in ("define", "block"):
            return self._define(word, tokens)
        if word == "template":
            return [Include(_name(tokens), self._pipe(tokens[2:]) if tokens[2:] else None)]
        return [Print(self._pipe(tokens))]

    def _block(self, kind: str, tokens: Sequence[Token]) -> Block:
        known = len(self._known)
        pipe = self._pipe(tokens, several=kind == "range")
        self._loops += kind == "range"
        body, end = self._list()
        self._loops -= kind == "range"
        otherwise: Sequence[Node] = ()
        if end and end[0].text == "else":
            del self._known[known + len(pipe.names) * pipe.declares :]
            otherwise = self._else(kind, end[1:])
        elif not end:
            raise TemplateError(f"unexpected end of text: {{{{{kind}}}}} has no {{{{end}}}}")
        del self._known[known:]
        return Block(kind, pipe, body, otherwise)

    def _else(self, kind: str, tokens: Sequence[Token]) -> Sequence[Node]:
        if tokens:
            if tokens[0].text != kind or kind == "range":
                raise TemplateError(f"unexpected {tokens[0].text!r} after {{{{else}}}}")
            return [self._block(kind, tokens[1:])]
        nodes, end = self._list()
        if not end or end[0].text != "end":
            raise TemplateError("expected {{end}} after {{else}}")
        return nodes

    def _define(self, word: str, tokens: Sequence[Token]) -> list[Node]:
        name, rest = _name(tokens), tokens[2:]
        pipe = self._pipe(rest) if word == "block" else None
        outer, self._known = self._known, ["$"]
        body, end = self._list()
        self._known = outer
        if not end or end[0].text != "end" or (word == "define" and rest):
            raise TemplateError(f"{{{{{word} {name!r}}}}} has no {{{{end}}}}")
        self._defined[name] = body
        return [Include(name, pipe)] if word == "block" else []

    def _pipe(self, tokens: Sequence[Token], several: bool = False) -> Pipe:
        names, declares, rest = _assigned(tokens, several)
        reader = _Commands(rest, self._known, self._functions)
        commands = reader.pipe()
        if reader.left:
            raise TemplateError(f"unexpected {reader.left[0].text!r} in command")
        if declares:
            self._known += names
        for name in names:
            if name not in self._known:
                raise TemplateError(f"undefined variable {name!r}")
        return Pipe(names, declares, commands)


def _assigned(tokens: Sequence[Token], several: bool) -> tuple[Sequence[str], bool, Sequence[Token]]:
    """The variables that a pipeline sets, whether they are new, and what is left of it."""
    names = [t.text for t in tokens[: 3 if several else 1] if t.kind == "variable"]
    width = 2 * len(names) - 1  # `$a, $b`
    if names and len(tokens) > width and tokens[width].text in (":=", "="):
        if len(names) == 2 and tokens[1].text != ",":
            raise TemplateError("expected a comma between the variables of {{range}}")
        return names, tokens[width].text == ":=", tokens[width + 1 :]
    return (), False, tokens


class _Commands:
    """Reads commands from one action's tokens."""

    def __init__(self, tokens: Sequence[Token], known: Collection[str], functions: Collection[str]) -> None:
        self.left = list(tokens)
        self._known, self._functions = known, functions

    def pipe(self) -> Sequence[Sequence[Term]]:
        commands = [self._command()]
        while self.left and self.left[0].text == "|":
            self.left.pop(0)
            commands.append(self._command())
            if not isinstance(commands[-1][0], Call):
                raise TemplateError("non-executable command in pipeline")
        return commands

    def _command(self) -> Sequence[Term]:
        terms: list[Term] = []
        while self.left and self.left[0].text not in ("|", ")"):
            terms.append(self._term())
        if not terms:
            raise TemplateError("missing value for command")
        if len(terms) > 1 and not isinstance(terms[0], Call):
            raise TemplateError("cannot give arguments to what is no function")
        return terms

    def _term(self) -> Term:
        token = self.left.pop(0)
        if token.text == "(" and token.kind == "mark":
            commands = self.pipe()
            if not self.left or self.left.pop(0).text != ")":
                raise TemplateError("unclosed left paren")
            return Sub(Pipe((), False, commands), self._fields())
        if token.kind == "variable":
            if token.text not in self._known:
                raise TemplateError(f"undefined variable {token.text!r}")
            return Path(token.text, self._fields())
        if token.kind == "field":
            return Path("", (token.text[1:], *self._fields()))
        if token.kind == "dot":
            return Path("", ())
        return _constant(token, self._functions)

    def _fields(self) -> Sequence[str]:
        names: list[str] = []
        while self.left and self.left[0].kind == "field" and not self.left[0].spaced:
            names.append(self.left.pop(0).text[1:])
        return names


def _constant(token: Token, functions: Collection[str]) -> Term:
    if token.kind == "word":
        if token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text])
        if token.text not in functions:
            raise TemplateError(f"function {token.text!r} not defined")
        return Call(token.text)
    if token.kind == "raw":
        return Literal(token.text[1:-1])
    if token.kind == "mark":
        raise TemplateError(f"unexpected {token.text!r} in operand")
    try:
        value = ast.literal_eval(token.text)
    except (SyntaxError, ValueError):
        raise TemplateError(f"bad constant {token.text}") from None
    return Literal(ord(value) if token.kind == "char" else value)


def _name(tokens: Sequence[Token]) -> str:
    if len(tokens) < 2 or tokens[1].kind not in ("string", "raw"):
        raise TemplateError(f"expected a quoted name after {tokens[0].text!r}")
    return tokens[1].text[1:-1]
