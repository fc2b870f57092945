"""LogQL text → syntax. The language is in grammar.lark; here are the words without braces, values and errors.

Raises: QueryError that leads with line:column and shows the place with a caret.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import NoReturn

from lark import Lark, Tree, UnexpectedInput
from lark.exceptions import UnexpectedCharacters, UnexpectedToken, VisitError

from obs.errors import QueryError
from obs.logstore import limits
from obs.logstore.logql.building import Builder
from obs.logstore.logql.syntax import (
    FullText,
    LogQuery,
    Query,
)
from obs.logstore.logql.texts import fail, unquote

_WORDS = re.compile(r'\s*(?:(?:"(?:\\.|[^"\\\n])*"|`[^`]*`|[^\s"`|{}()\[\]]+)(?=\s|\||$)\s*)+')
_WORD = re.compile(r'"(?:\\.|[^"\\\n])*"|`[^`]*`|[^\s"`|]+')
_ARITHMETIC = re.compile(r"\s*[+-]?[\d.]+\s*(?:[+*/%^]|\s-\s|[<>=!]=|[<>])(?:[\d.\s+*/%^<>=!-]|\bbool\b)+")
_NEGATIVE = re.compile(r"\s*-\s*(\d+(\.\d*)?|\.\d+)\s*")
_PARENTHESES = re.compile(r'"(?:\\.|[^"\\\n])*"|`[^`]*`|#[^\n]*|[()]')
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
    if len(text) > limits.MAX_QUERY_CHARS:
        raise QueryError(f"cannot parse LogQL of {len(text)} characters: the limit is {limits.MAX_QUERY_CHARS}")
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
    if _ARITHMETIC.fullmatch(words) or _NEGATIVE.fullmatch(words):
        return None
    phrases = tuple(_phrase(word, text) for word in _WORD.finditer(words))
    return phrases, " " * matched.end() + text[matched.end() :]


def _phrase(found: re.Match[str], text: str) -> str:
    word = found.group()
    try:
        return unquote(word) if word[0] in '"`' else word
    except ValueError as e:
        before = text[: found.start()]
        fail(text, before.count("\n") + 1, found.start() - before.rfind("\n"), str(e).removeprefix("cannot "))


def _check_depth(text: str, shown: str) -> None:
    """Raises: QueryError where parentheses nest so deep that only to read them would take seconds."""
    depth = 0
    for found in _PARENTHESES.finditer(text):
        depth += {"(": 1, ")": -1}.get(found.group(), 0)
        if depth > limits.MAX_QUERY_DEPTH:
            before = text[: found.start()]
            column = found.start() - before.rfind("\n")
            fail(shown, before.count("\n") + 1, column, f"parentheses nest deeper than {limits.MAX_QUERY_DEPTH}")


def _parse(text: str, shown: str) -> Query:
    _check_depth(text, shown)
    try:
        result: Query = Builder(shown).transform(_grammar().parse(text))
    except UnexpectedInput as e:
        fail(shown, *_where(e, shown), _said(e))
    except RecursionError:
        fail(shown, 1, 1, "it nests too deep; take parentheses or operators away")
    except VisitError as e:
        _raise_cause(e, shown)
    return result


def _raise_cause(e: VisitError, text: str) -> NoReturn:
    """What a rule found wrong, with its place. Raises: QueryError."""
    if isinstance(e.orig_exc, QueryError):
        raise e.orig_exc from None
    if isinstance(e.orig_exc, RecursionError):
        fail(text, 1, 1, "it nests too deep; take parentheses or operators away")
    if not isinstance(e.orig_exc, ValueError) or not isinstance(e.obj, Tree):
        raise e
    fail(text, e.obj.meta.line, e.obj.meta.column, str(e.orig_exc).removeprefix("cannot "))


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
