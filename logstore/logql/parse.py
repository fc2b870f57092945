"""LogQL text → syntax. The language is in grammar.lark; here are the words without braces, values and errors.

Raises: QueryError that leads with line:column and shows the place with a caret.
"""

from __future__ import annotations

import re
import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NoReturn

from lark import Lark, Token, Transformer, Tree, UnexpectedInput
from lark.exceptions import UnexpectedCharacters, UnexpectedToken, VisitError

from obs.errors import QueryError
from obs.logstore.logql.syntax import (
    AllOf,
    AnyOf,
    Binary,
    Comparison,
    Condition,
    FullText,
    Grouping,
    JsonParser,
    LabelFilter,
    LineFilter,
    LineOp,
    LogfmtParser,
    LogQuery,
    Number,
    Query,
    RangeAggregation,
    Stage,
    Unit,
    VectorAggregation,
)
from obs.logstore.logql.units import bytes_value, duration_ns
from obs.logstore.matching import check_regex
from obs.logstore.names import label_name
from obs.model.labels import Matcher, MatchOp

_WORDS = re.compile(r'\s*(?:(?:"(?:\\.|[^"\\\n])*"|`[^`]*`|[^\s"`|{}()\[\]]+)(?=\s|\||$)\s*)+')
_WORD = re.compile(r'"(?:\\.|[^"\\\n])*"|`[^`]*`|[^\s"`|]+')
_ARITHMETIC = re.compile(r"\s*[\d.]+\s*(?:[+*/%^]|\s-\s|[<>=!]=|[<>])[\d.\s+*/%^<>=!-]+")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_NAMES = {
    "NAME": "a label name", "STRING": "a quoted text", "RANGE": "a range such as [5m]", "LINE_OP": "a line filter",
    "NUMBER": "a number", "SIGNED": "a number", "DURATION": "a duration", "BYTES": "a size", "LBRACE": "'{'",
    "RBRACE": "'}'", "LPAR": "'('", "RPAR": "')'", "COMMA": "','", "VBAR": "'|'", "$END": "the end",
    "RANGE_OP": "a range aggregation", "VECTOR_OP": "an aggregation", "COMPARE": "a comparison",
    "MATCH_OP": "one of = != =~ !~", "ADD": "'+' or '-'", "MUL": "one of * / %", "POW": "'^'", "CMP": "a comparison",
    "VECTOR": "vector(…)", "SIGNED_DURATION": "a duration",
}  # fmt: skip


@lru_cache(maxsize=512)
def parse(text: str) -> Query:
    """The query a text says. Raises: QueryError."""
    found = _full_text(text)
    if found is None:
        return _parse(text, text)
    phrases, rest = found
    query = _parse("{}" + rest[2:] if rest.startswith("  ") else "{}" + rest, text)  # columns stay what they were
    assert isinstance(query, LogQuery)
    return LogQuery((), (*(FullText((phrase,)) for phrase in phrases), *query.stages))


def _full_text(text: str) -> tuple[tuple[str, ...], str] | None:
    """Words and phrases in front of the first stage, and the text with them blanked; None where it is LogQL."""
    matched = _WORDS.match(text)
    if matched is None or (matched.end() < len(text) and text[matched.end()] != "|"):
        return None
    words = matched.group()
    if _ARITHMETIC.fullmatch(words):
        return None
    phrases = tuple(_phrase(word, text) for word in _WORD.finditer(words))
    return phrases, " " * matched.end() + text[matched.end() :]


def _phrase(found: re.Match[str], text: str) -> str:
    word = found.group()
    try:
        return unquote(word) if word[0] in '"`' else word
    except ValueError as e:
        before = text[: found.start()]
        _fail(text, before.count("\n") + 1, found.start() - before.rfind("\n"), str(e).removeprefix("cannot "))


def _parse(text: str, shown: str) -> Query:
    try:
        result: Query = _Builder(shown).transform(_grammar().parse(text))
    except UnexpectedInput as e:
        _fail(shown, *_where(e, shown), _said(e))
    except RecursionError:
        _fail(shown, 1, 1, "it nests too deep; take parentheses or operators away")
    except VisitError as e:
        _raise_cause(e, shown)
    return result


def _raise_cause(e: VisitError, text: str) -> NoReturn:
    """What a rule found wrong, with its place. Raises: QueryError."""
    if isinstance(e.orig_exc, QueryError):
        raise e.orig_exc from None
    if isinstance(e.orig_exc, RecursionError):
        _fail(text, 1, 1, "it nests too deep; take parentheses or operators away")
    if not isinstance(e.orig_exc, ValueError) or not isinstance(e.obj, Tree):
        raise e
    _fail(text, e.obj.meta.line, e.obj.meta.column, str(e.orig_exc).removeprefix("cannot "))


@cache
def _grammar() -> Lark:
    text = (Path(__file__).parent / "grammar.lark").read_text()
    return Lark(text, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def _where(e: UnexpectedInput, text: str) -> tuple[int, int]:
    ended = isinstance(e, UnexpectedToken) and e.token.type == "$END"
    if not ended and e.line is not None and e.line > 0:
        return e.line, e.column
    lines = text.split("\n")
    return len(lines), len(lines[-1]) + 1


def _said(e: UnexpectedInput) -> str:
    if isinstance(e, UnexpectedToken):
        got = "the query ends here" if e.token.type == "$END" else f"{str(e.token)!r} does not fit here"
        expected = e.expected
    elif isinstance(e, UnexpectedCharacters):
        got, expected = f"{e.char!r} does not fit here", e.allowed or set()
    else:
        return "the query ends here"
    names = sorted({_NAMES.get(name, name.strip("_").lower()) for name in expected})
    return f"{got}; expected {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" if names else got


def _fail(text: str, line: int, column: int, cause: str) -> NoReturn:
    shown = text.split("\n")[line - 1] if line <= len(text.split("\n")) else ""
    message = f"{line}:{column}: cannot parse LogQL {text!r}: {cause}\n  {shown}\n  {' ' * (column - 1)}^"
    raise QueryError(message, (line, column))


def unquote(text: str) -> str:
    """The text between quotes: Go's escapes in double quotes, none in back quotes.

    Raises: ValueError where an escape is no character.
    """
    if text[0] == "`":
        return text[1:-1]
    return _ESCAPE.sub(_unescape, text[1:-1])


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    if code[0] in "xuU" and len(code) > 1:
        point = int(code[1:], 16)
        if point > sys.maxunicode or 0xD800 <= point < 0xE000:
            raise ValueError(f"cannot read escape {match.group()!r}: it is no character; write the character itself")
        return chr(point)
    if len(code) == 3:
        return chr(int(code, 8))
    return _ESCAPED.get(code, code)


class _Builder(Transformer[Token, Any]):
    """Tree → syntax, one method a rule."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def start(self, children: list[Any]) -> Query:
        return children[0]

    def log_query(self, children: list[Any]) -> LogQuery:
        return LogQuery(children[0], tuple(children[1:]))

    def selector(self, matchers: list[Matcher]) -> tuple[Matcher, ...]:
        return tuple(matchers)

    def matcher(self, children: list[Token]) -> Matcher:
        name, op, value = children
        matcher = Matcher(label_name(name), MatchOp(op), unquote(value))
        if matcher.op in (MatchOp.RE, MatchOp.NRE):
            self._check(value, matcher.value)
        return matcher

    def phrase(self, children: list[Any]) -> FullText:
        return FullText((unquote(str(children[0])),))

    def full_text(self, children: list[Token]) -> FullText:
        return FullText((unquote(children[0]),))

    def line_filter(self, children: list[Token]) -> LineFilter:
        op = LineOp(children[0])
        strings = [c for c in children[1:] if c.type == "STRING"]
        if op.is_regex:
            for string in strings:
                self._check(string, unquote(string))
        return LineFilter(op, tuple(unquote(s) for s in strings))

    def json_stage(self, children: list[Any]) -> JsonParser:
        return JsonParser(tuple(c for c in children if isinstance(c, tuple)))

    def logfmt_stage(self, children: list[Any]) -> LogfmtParser:
        return LogfmtParser(tuple(c for c in children if isinstance(c, tuple)), "--keep-empty" in children)

    def extraction(self, children: list[Token]) -> tuple[str, str]:
        name = str(children[0])
        return label_name(name), unquote(children[1]) if len(children) > 1 else name

    def label_filter(self, children: list[Condition]) -> LabelFilter:
        return LabelFilter(children[0])

    def any_of(self, children: list[Any]) -> Condition:
        parts = tuple(c for c in children if not isinstance(c, Token))
        return parts[0] if len(parts) == 1 else AnyOf(parts)

    def all_of(self, children: list[Any]) -> Condition:
        parts = tuple(c for c in children if not isinstance(c, Token))
        return parts[0] if len(parts) == 1 else AllOf(parts)

    def comparison(self, children: list[Token]) -> Comparison:
        name, op, value = children
        if value.type == "STRING":
            return self._text_comparison(name, op, value)
        if op in ("=~", "!~"):
            self._refuse(op, f"{op} compares texts; put the value in quotes")
        unit, number = _MEASURES[value.type](value)
        return Comparison(label_name(name), "==" if op == "=" else str(op), unit, "", number, str(value))

    def _text_comparison(self, name: Token, op: Token, value: Token) -> Comparison:
        if op not in ("=", "==", "!=", "=~", "!~"):
            self._refuse(value, f"{op} compares numbers; take the quotes off")
        text = unquote(value)
        if op in ("=~", "!~"):
            self._check(value, text)
        return Comparison(label_name(name), "=" if op == "==" else str(op), Unit.TEXT, text, 0.0, str(value))

    def number(self, children: list[Token]) -> Number:
        return Number(float(children[0]))

    def vector_call(self, children: list[Token]) -> Number:
        sign = -1.0 if "-" in children[1:-1] else 1.0
        return Number(sign * float(children[-1]), vector=True)

    def signed(self, children: list[Any]) -> Any:
        sign, inner = children
        if sign == "+":
            return inner
        return Number(-inner.value, inner.vector) if isinstance(inner, Number) else Binary("*", Number(-1.0), inner)

    def binary(self, children: list[Any]) -> Binary:
        return Binary(str(children[1]), children[0], children[-1], returns_bool=len(children) == 4)

    def offset(self, children: list[Token]) -> int:
        return duration_ns(children[1])

    def range_agg(self, children: list[Any]) -> RangeAggregation:
        span = next(c for c in children[1:] if isinstance(c, Token) and c.type == "RANGE")
        offset = next((c for c in children[1:] if isinstance(c, int)), 0)
        stages: tuple[Stage, ...] = tuple(c for c in children[2:] if not isinstance(c, (Token, int)))
        range_ns = duration_ns(span[1:-1].strip())
        if range_ns <= 0:
            self._refuse(span, "a range is longer than zero")
        return RangeAggregation(str(children[0]), LogQuery(children[1], stages), range_ns, offset)

    def grouping(self, children: list[Token]) -> Grouping:
        return Grouping(tuple(label_name(c) for c in children[1:]), without=children[0].type == "WITHOUT")

    def vector_agg(self, children: list[Any]) -> VectorAggregation:
        op = children[0]
        groupings = [c for c in children if isinstance(c, Grouping)]
        number = next((c for c in children[1:] if isinstance(c, Token)), None)
        if len(groupings) > 1:
            self._refuse(op, "the grouping stands twice; keep one")
        if (op in ("topk", "bottomk")) != (number is not None):
            self._refuse(op, f"{op} {'needs' if number is None else 'takes no'} number in front of its query")
        inner = next(c for c in reversed(children) if not isinstance(c, (Grouping, Token)))
        rows = None if number is None else int(min(float(number), sys.maxsize))
        return VectorAggregation(str(op), inner, groupings[0] if groupings else None, rows)

    def _check(self, token: Token, pattern: str) -> None:
        try:
            check_regex(pattern)
        except QueryError as e:
            self._refuse(token, str(e).removeprefix("cannot "))

    def _refuse(self, token: Token, cause: str) -> NoReturn:
        _fail(self._text, token.line or 1, token.column or 1, cause)


_MEASURES: dict[str, Any] = {
    "SIGNED": lambda v: (Unit.NUMBER, float(v)),
    "DURATION": lambda v: (Unit.DURATION, duration_ns(v) / 1e9),
    "BYTES": lambda v: (Unit.BYTES, bytes_value(v)),
}
