"""Expressions of durations, as they are written: kept in plans so that these can be shown as they were asked.

A literal alone is no expression: it is its milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from obs.model.durations import duration_text
from obs.tsdb.promql.formatting import go_general


class Span(NamedTuple):
    """What `step()` and `range()` mean."""

    step_ms: int
    range_ms: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A number of seconds; `is_duration`: written with units."""

    seconds: float
    is_duration: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """`left op right`; `step` and `range` have no sides, signs have no left, nor have parentheses around a literal."""

    pos: int
    op: str
    left: Length | None = None
    right: Length | None = None
    wrapped: bool = False


Length = Literal | Operation

BOUNDS: dict[str, Callable[[float, float], float]] = {"min": min, "max": max, "min_of": min, "max_of": max}


class Meaningless(Exception):
    """`(position, cause)`: an expression has no value."""


def seconds(length: Length, span: Span) -> float:
    """The value. Raises: Meaningless."""
    if isinstance(length, Literal):
        return length.seconds
    if length.op in ("step", "range"):
        return (span.step_ms if length.op == "step" else span.range_ms) / 1000
    assert length.right is not None
    right = seconds(length.right, span)
    if length.left is None:
        return -right if length.op == "-" else right
    left = seconds(length.left, span)
    if length.op in "/%" and right == 0:
        raise Meaningless(length.pos, over_zero(length.op))
    try:
        return _CALCULATE[length.op](left, right)
    except (OverflowError, ValueError):
        raise Meaningless(length.pos, "duration is out of range") from None


def over_zero(op: str) -> str:
    """What is wrong with a division whose right side is zero."""
    return "division by zero" if op == "/" else "modulo by zero"


_CALCULATE: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": math.fmod,
    "^": math.pow,
    **BOUNDS,
}


def text(length: Length) -> str:
    """As it is written in a query."""
    if isinstance(length, Literal):
        return duration_text(round(length.seconds * 1000)) if length.is_duration else go_general(length.seconds)
    return f"({_bare(length)})" if length.wrapped else _bare(length)


def _bare(node: Operation) -> str:
    if node.right is None:
        return f"{node.op}()"
    if node.left is None:
        return f"-{text(node.right)}" if node.op == "-" else text(node.right)
    if node.op in BOUNDS:
        return f"{node.op}({text(node.left)}, {text(node.right)})"
    return f"{text(node.left)} {node.op} {text(node.right)}"


def tree(length: Length | None) -> dict[str, Any] | None:
    """As `/api/v1/parse_query` shows it."""
    if length is None:
        return None
    if isinstance(length, Literal):
        return {"type": "numberLiteral", "val": go_general(length.seconds), "duration": length.is_duration}
    sides = {"lhs": tree(length.left), "rhs": tree(length.right)}
    return {"type": "durationExpr", "op": length.op, **sides, "wrapped": length.wrapped}
