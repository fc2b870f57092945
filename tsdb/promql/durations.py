"""Durations in brackets and after `offset`: literals, seconds as numbers, and arithmetic over them.

`step()` and `range()` stand for the query's own step and range; where these are not known (`span` is None, a query is
only to be shown) an expression is worth 0. All results are whole milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import replace

from obs.tsdb.promql.cursor import Cursor
from obs.tsdb.promql.lengths import BOUNDS, Length, Literal, Meaningless, Operation, Span, over_zero, seconds
from obs.tsdb.promql.lexer import duration_ms, number_value

_LEVEL = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3}
WINDOW, OFFSET = "subquery or range selector", "offset"
"""Where a duration stands, as errors say it."""
EXPECTED = "number, duration, step(), or range()"
MAX_S = 2**63 / 1e9
"""Durations are 64-bit nanoseconds in every client; longer ones are mistakes."""

Found = tuple[int, Operation | None]
"""Milliseconds, and how they were written where that was no plain literal."""


def positive(cursor: Cursor, span: Span | None) -> Found:
    """The duration of a range or a step; it must be over zero."""
    pos = cursor.token.pos
    ms, written = _found(cursor, pos, _expression(cursor, 0, WINDOW), span)
    if ms <= 0 and (span is not None or written is None):
        raise cursor.error(pos, "duration must be greater than 0")
    return ms, written


def signed(cursor: Cursor, span: Span | None) -> Found:
    """The duration of an offset; a whole expression needs parentheses here."""
    pos = cursor.token.pos
    whole = cursor.is_op("(")  # with a sign before it, the parentheses end the offset
    return _found(cursor, pos, _expression(cursor, 0, OFFSET) if whole else _unary(cursor, OFFSET), span)


def _found(cursor: Cursor, pos: int, length: Length, span: Span | None) -> Found:
    if isinstance(length, Literal):
        return _ms(cursor, pos, length.seconds), None
    if span is None:
        return 0, length
    try:
        return _ms(cursor, pos, seconds(length, span)), length
    except Meaningless as e:
        raise cursor.error(*e.args) from None


def _ms(cursor: Cursor, pos: int, seconds: float) -> int:
    if math.isnan(seconds) or abs(seconds) > MAX_S:
        raise cursor.error(pos, "duration is out of range")
    return round(seconds * 1000)


def _expression(cursor: Cursor, floor: int, context: str) -> Length:
    if cursor.is_op("+", "-"):  # which bind less than a power
        sign = cursor.take()
        left = _signed(sign.pos, sign.text, _expression(cursor, _LEVEL["*"], context), context)
    else:
        left = _primary(cursor, context)
    while cursor.token.kind == "op" and _LEVEL.get(cursor.token.text, 0) > floor:
        token = cursor.take()
        level = _LEVEL[token.text]
        right = _expression(cursor, level - 1 if token.text == "^" else level, context)
        if token.text in "/%" and isinstance(right, Literal) and right.seconds == 0:
            raise cursor.error(token.pos, over_zero(token.text))
        left = Operation(token.pos, token.text, left, right)
    return left


def _signed(pos: int, sign: str, length: Length, context: str) -> Length:
    if isinstance(length, Literal):
        return replace(length, seconds=-length.seconds) if sign == "-" else length
    return length if sign == "+" and context == WINDOW else Operation(pos, sign, None, length)


def _unary(cursor: Cursor, context: str) -> Length:
    if cursor.is_op("+", "-"):
        sign = cursor.take()
        return _signed(sign.pos, sign.text, _unary(cursor, context), context)
    return _primary(cursor, context)


def _primary(cursor: Cursor, context: str) -> Length:
    token = cursor.token
    if token.kind == "number":
        value = number_value(cursor.take().text)
        if value > MAX_S:
            raise cursor.error(token.pos, "duration out of range")
        return Literal(value)
    if token.kind == "duration":
        ms = duration_ms(cursor.take().text)
        if ms is None:
            raise cursor.error(token.pos, f'not a valid duration string: "{token.text}"')
        return Literal(ms / 1000, True)
    if cursor.accept("("):
        inner = _expression(cursor, 0, context)
        if cursor.token.kind == "end":
            raise cursor.error(cursor.token.pos, "unclosed left parenthesis")
        cursor.expect(")", context)
        if isinstance(inner, Literal):
            return Operation(token.pos, "+", None, inner, wrapped=True)
        return replace(inner, wrapped=True)
    word = cursor.accept_word("step", "range", *BOUNDS)
    if word is None:
        if token.kind in ("ident", "string") and context == WINDOW:
            raise cursor.error(token.pos, f"unexpected character in duration expression: {token.text[0]!r}")
        raise cursor.unexpected(context, EXPECTED)
    return _function(cursor, token.pos, word, context)


def _function(cursor: Cursor, pos: int, word: str, context: str) -> Operation:
    _expect(cursor, "(", context)
    if word in ("step", "range"):
        _expect(cursor, ")", context)
        return Operation(pos, word)
    left = _expression(cursor, 0, context)
    _expect(cursor, ",", context)
    right = _expression(cursor, 0, context)
    _expect(cursor, ")", context)
    return Operation(pos, word, left, right)


def _expect(cursor: Cursor, op: str, context: str) -> None:
    if not cursor.accept(op):
        raise cursor.unexpected(context, EXPECTED)
