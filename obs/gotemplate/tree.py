"""The tree of a template: what the parser makes and `expand` walks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Any


@dataclass(frozen=True, slots=True)
class Call:
    """A function by name; the rest of its command are its arguments."""

    name: str


@dataclass(frozen=True, slots=True)
class Path:
    """A variable ("" is the dot) and fields to take from it."""

    variable: str
    fields: Sequence[str]


@dataclass(frozen=True, slots=True)
class Sub:
    """A pipeline in parentheses and fields to take from its value."""

    pipe: Pipe
    fields: Sequence[str]


Term = Literal | Call | Path | Sub


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands, each given the value of the one before; the value is kept under `names`, as new ones if `declares`."""

    names: Sequence[str]
    declares: bool
    commands: Sequence[Sequence[Term]]


@dataclass(frozen=True, slots=True)
class Text:
    """Text as it stands."""

    text: str


@dataclass(frozen=True, slots=True)
class Print:
    """A pipeline whose value is printed, unless it sets a variable."""

    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Block:
    """`if`, `with` or `range`: a body, and what stands for it where the pipeline's value is empty."""

    kind: str
    pipe: Pipe
    body: Sequence[Node]
    otherwise: Sequence[Node]


@dataclass(frozen=True, slots=True)
class Leave:
    """`break` or `continue`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Include:
    """`template "name" pipeline`."""

    name: str
    pipe: Pipe | None


Node = Text | Print | Block | Leave | Include


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole template and those it defines."""

    body: Sequence[Node]
    defined: Mapping[str, Sequence[Node]]


def paths(tree: Tree) -> Iterator[Path]:
    """Every path in a template."""
    for body in (tree.body, *tree.defined.values()):
        yield from _in_body(body)


def _in_body(body: Sequence[Node]) -> Iterator[Path]:
    for node in body:
        if isinstance(node, Print | Block | Include) and node.pipe is not None:
            yield from _in_pipe(node.pipe)
        if isinstance(node, Block):
            yield from _in_body(node.body)
            yield from _in_body(node.otherwise)


def _in_pipe(pipe: Pipe) -> Iterator[Path]:
    for term in (term for command in pipe.commands for term in command):
        if isinstance(term, Path):
            yield term
        elif isinstance(term, Sub):
            yield from _in_pipe(term.pipe)
