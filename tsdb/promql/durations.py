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
WINDOW, OFFSET = "subquery or range selector", "offset"
"""Where a duration stands, as errors say it."""
EXPECTED = "number, duration, step(), or range()"
_MAX_S = 2**63 / 1e9
"""Durations are 64-bit nanoseconds in every client; longer ones are mistakes."""


def positive(cursor: Cursor, span: Span) -> int:
    """The duration of a range or a step, in milliseconds; it must be over zero."""
    pos = cursor.token.pos
    ms = _ms(cursor, pos, _expression(cursor, span, 0, WINDOW))
    if ms <= 0:
        raise cursor.error(pos, "duration must be greater than 0")
    return ms


def signed(cursor: Cursor, span: Span) -> int:
    """The duration of an offset, in milliseconds; a whole expression needs parentheses here."""
    pos = cursor.token.pos
    whole = cursor.is_op("(")  # with a sign before it, the parentheses end the offset
    return _ms(cursor, pos, _expression(cursor, span, 0, OFFSET) if whole else _unary(cursor, span, OFFSET))


def _ms(cursor: Cursor, pos: int, seconds: float) -> int:
    if math.isnan(seconds) or abs(seconds) > _MAX_S:
        raise cursor.error(pos, "duration is out of range")
    return round(seconds * 1000)


def _expression(cursor: Cursor, span: Span, floor: int, context: str) -> float:
    if cursor.is_op("+", "-"):  # which bind less than a power
        sign = -1 if cursor.take().text == "-" else 1
        left = sign * _expression(cursor, span, _LEVEL["*"], context)
    else:
        left = _primary(cursor, span, context)
    while cursor.token.kind == "op" and _LEVEL.get(cursor.token.text, 0) > floor:
        token = cursor.take()
        level = _LEVEL[token.text]
        right = _expression(cursor, span, level - 1 if token.text == "^" else level, context)
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
        raise cursor.error(pos, "duration is out of range") from None


def _unary(cursor: Cursor, span: Span, context: str) -> float:
    if cursor.is_op("+", "-"):
        sign = -1 if cursor.take().text == "-" else 1
        return sign * _unary(cursor, span, context)
    return _primary(cursor, span, context)


def _primary(cursor: Cursor, span: Span, context: str) -> float:
    token = cursor.token
    if token.kind == "number":
        value = number_value(cursor.take().text)
        if value > _MAX_S:
            raise cursor.error(token.pos, "duration out of range")
        return value
    if token.kind == "duration":
        ms = duration_ms(cursor.take().text)
        if ms is None:
            raise cursor.error(token.pos, f'not a valid duration string: "{token.text}"')
        return ms / 1000
    if cursor.accept("("):
        value = _expression(cursor, span, 0, context)
        if cursor.token.kind == "end":
            raise cursor.error(cursor.token.pos, "unclosed left parenthesis")
        cursor.expect(")", context)
        return value
    word = cursor.accept_word("step", "range", *_BOUNDS)
    if word is None:
        if token.kind in ("ident", "string") and context == WINDOW:
            raise cursor.error(token.pos, f"unexpected character in duration expression: {token.text[0]!r}")
        raise cursor.unexpected(context, EXPECTED)
    return _function(cursor, span, word, context)


def _function(cursor: Cursor, span: Span, word: str, context: str) -> float:
    _expect(cursor, "(", context)
    if word in ("step", "range"):
        _expect(cursor, ")", context)
        return (span.step_ms if word == "step" else span.range_ms) / 1000
    values = [_expression(cursor, span, 0, context)]
    _expect(cursor, ",", context)
    values.append(_expression(cursor, span, 0, context))
    _expect(cursor, ")", context)
    return _BOUNDS[word](values)


def _expect(cursor: Cursor, op: str, context: str) -> None:
    if not cursor.accept(op):
        raise cursor.unexpected(context, EXPECTED)
