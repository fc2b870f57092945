"""Durations in brackets and after `offset`: literals, seconds as numbers, and arithmetic over them.

`step()` and `range()` stand for the query's own step and range. All results are whole milliseconds.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from obs.tsdb.promql.cursor import Cursor
from obs.tsdb.promql.lexer import duration_ms, number_value


class Span(NamedTuple):
    """What `step()` and `range()` mean."""

    step_ms: int
    range_ms: int


_LEVEL = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3}
_BOUNDS = {"min": min, "max": max, "min_of": min, "max_of": max}
_MAX_S = 2**63 / 1e9
"""Durations are 64-bit nanoseconds in every client; longer ones are mistakes."""


def positive(cursor: Cursor, span: Span) -> int:
    """The duration of a range or a step, in milliseconds; it must be over zero."""
    pos = cursor.token.pos
    ms = _ms(cursor, pos, _expression(cursor, span, 0))
    if ms <= 0:
        raise cursor.error(pos, "duration must be greater than 0")
    return ms


def signed(cursor: Cursor, span: Span) -> int:
    """The duration of an offset, in milliseconds; a whole expression needs parentheses here."""
    pos = cursor.token.pos
    return _ms(cursor, pos, _unary(cursor, span))


def _ms(cursor: Cursor, pos: int, seconds: float) -> int:
    if math.isnan(seconds) or abs(seconds) > _MAX_S:
        raise cursor.error(pos, "duration out of range")
    return round(seconds * 1000)


def _expression(cursor: Cursor, span: Span, floor: int) -> float:
    if cursor.is_op("+", "-"):  # which bind less than a power
        sign = -1 if cursor.take().text == "-" else 1
        left = sign * _expression(cursor, span, _LEVEL["*"])
    else:
        left = _primary(cursor, span)
    while cursor.token.kind == "op" and _LEVEL.get(cursor.token.text, 0) > floor:
        token = cursor.take()
        level = _LEVEL[token.text]
        right = _expression(cursor, span, level - 1 if token.text == "^" else level)
        left = _apply(cursor, token.pos, token.text, left, right)
    return left


def _apply(cursor: Cursor, pos: int, op: str, a: float, b: float) -> float:
    if op in "/%" and b == 0:
        raise cursor.error(pos, "division by zero" if op == "/" else "modulo by zero")
    try:
        return {
            "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b,
            "/": lambda: a / b, "%": lambda: math.fmod(a, b), "^": lambda: math.pow(a, b),
        }[op]()  # fmt: skip
    except (OverflowError, ValueError):
        raise cursor.error(pos, "duration out of range") from None


def _unary(cursor: Cursor, span: Span) -> float:
    if cursor.is_op("+", "-"):
        sign = -1 if cursor.take().text == "-" else 1
        return sign * _unary(cursor, span)
    return _primary(cursor, span)


def _primary(cursor: Cursor, span: Span) -> float:
    token = cursor.token
    if token.kind == "number":
        return number_value(cursor.take().text)
    if token.kind == "duration":
        ms = duration_ms(cursor.take().text)
        if ms is None:
            raise cursor.error(token.pos, f'not a valid duration string: "{token.text}"')
        return ms / 1000
    if cursor.accept("("):
        value = _expression(cursor, span, 0)
        cursor.expect(")", "duration expression")
        return value
    word = cursor.accept_word("step", "range", *_BOUNDS)
    if word is None:
        raise cursor.unexpected("duration", "duration or number")
    return _function(cursor, span, word)


def _function(cursor: Cursor, span: Span, word: str) -> float:
    cursor.expect("(", "duration expression")
    if word in ("step", "range"):
        cursor.expect(")", "duration expression")
        return (span.step_ms if word == "step" else span.range_ms) / 1000
    values = [_expression(cursor, span, 0)]
    cursor.expect(",", "duration expression")
    values.append(_expression(cursor, span, 0))
    cursor.expect(")", "duration expression")
    return _BOUNDS[word](values)
