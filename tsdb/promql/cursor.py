"""A walk over tokens with what every part of the parser needs: peek, accept, expect, and errors at a token."""

from __future__ import annotations

from obs.errors import QueryError
from obs.tsdb.promql.lexer import Token, parse_error, tokenize, unquote

AGGREGATORS = (
    "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "count_values",
    "quantile", "limitk", "limit_ratio",
)  # fmt: skip

_MARKS = "(){}[],:="
"""What errors name without calling it an operator."""

SHOWN_TEXT = 10
"""Characters of a string that errors show, its quote among them."""

_KEYWORDS = frozenset((
    "offset", "smoothed", "anchored", "by", "without", "on", "ignoring", "group_left", "group_right", "bool",
))  # fmt: skip
_FUNCTIONS = frozenset(("start", "end", "step", "range", "min_of", "max_of"))
"""Words that errors quote, as they have a meaning in durations and times."""


class Cursor:
    """The tokens of one query and where we are in them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokenize(text)
        self._at = 0

    @property
    def token(self) -> Token:
        """The token to be read next. Raises: QueryError where the text is at fault there."""
        token = self._tokens[self._at]
        if token.kind == "fault":
            raise self.error(token.pos, token.text)
        return token

    def ahead(self, n: int = 1) -> Token:
        """The token `n` after the next."""
        return self._tokens[min(self._at + n, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Read one token."""
        token = self.token
        if token.kind != "end":
            self._at += 1
        return token

    def is_op(self, *ops: str) -> bool:
        """Whether the next token is one of these operators."""
        return self.token.kind == "op" and self.token.text in ops

    def is_word(self, *words: str) -> bool:
        """Whether the next token is one of these keywords, in any case."""
        return self.token.kind == "ident" and self.token.text.lower() in words

    def accept(self, op: str) -> bool:
        """Read the operator if it is next."""
        if self.is_op(op):
            self.take()
            return True
        return False

    def accept_word(self, *words: str) -> str | None:
        """Read one of these keywords if it is next."""
        return self.take().text.lower() if self.is_word(*words) else None

    def expect(self, op: str, context: str) -> Token:
        """Read the operator or fail."""
        if not self.is_op(op):
            raise self.unexpected(context, f'"{op}"')
        return self.take()

    def string(self) -> str:
        """Read a string token's value."""
        return unquote(self.text, self.take())

    def unexpected(self, context: str, expected: str = "") -> QueryError:
        """The error that the next token does not belong here."""
        tail = f", expected {expected}" if expected else ""
        plain = self.token.kind == "ident" and context == "label matching"  # no word has a meaning there
        what = f'identifier "{self.token.text}"' if plain else describe(self.token)
        return self.error(self.token.pos, f"unexpected {what}{' in ' + context if context else ''}{tail}")

    def error(self, pos: int, cause: str) -> QueryError:
        """An error at an offset of the text."""
        return parse_error(self.text, pos, cause)


def describe(token: Token) -> str:
    """A token as an error message names it."""
    if token.kind == "end":
        return "end of input"
    if token.kind == "op":
        return f'"{token.text}"' if token.text in _MARKS else f"<op:{token.text}>"
    if token.kind == "string":
        quoted = token.text[:SHOWN_TEXT].replace("\\", "\\\\").replace('"', '\\"')
        return f'string "{quoted}"{"..." if len(token.text) > SHOWN_TEXT else ""}'
    return _word(token)


def _word(token: Token) -> str:
    word = token.text.lower()
    if token.kind == "ident":
        if word in _KEYWORDS:
            return f"<{token.text}>"
        if word in AGGREGATORS:
            return f"<aggr:{token.text}>"
        if word in _FUNCTIONS:
            return f'"{token.text}"'
        if word in ("and", "or", "unless", "atan2"):
            return f"<op:{token.text}>"
        if word in ("inf", "nan"):
            return f'number "{token.text}"'
    return f'{"identifier" if token.kind == "ident" else token.kind} "{token.text}"'
