"""TraceQL text as an expression over spans. The grammar is `grammar.lark`; errors show line, column and a caret."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from obs.errors import QueryError
from obs.tracestore import limits
from obs.tracestore.durations import duration_ns
from obs.tracestore.evaluate import INTRINSICS
from obs.tracestore.expressions import (
    SCOPES,
    Attribute,
    Compare,
    Expr,
    Field,
    Intrinsic,
    Not,
    Or,
    Value,
    all_of,
    check_regex,
)
from obs.tracestore.names import KINDS, STATUSES
from obs.tracestore.tags import ALIASES

_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
_WORDS = {"status": STATUSES, "kind": KINDS}


def parse(text: str) -> Expr | None:
    """The expression of a query; None where every span satisfies it. Raises: QueryError."""
    if len(text) > limits.MAX_QUERY_CHARS:
        raise QueryError(f"cannot parse a query of {len(text)} characters: the limit is {limits.MAX_QUERY_CHARS}")
    return _parse(text)


@lru_cache(maxsize=256)
def _parse(text: str) -> Expr | None:
    try:
        tree = _grammar().parse(text)
        return _Planner().transform(tree)
    except UnexpectedInput as e:
        raise _unexpected(text, e) from None
    except RecursionError:
        raise QueryError("cannot parse TraceQL: it nests too deep; take parentheses away") from None
    except VisitError as e:
        if isinstance(e.orig_exc, QueryError):
            raise e.orig_exc from None
        raise


@cache
def _grammar() -> Lark:
    source = files("obs.tracestore.traceql").joinpath("grammar.lark").read_text()
    return Lark(source, parser="lalr", maybe_placeholders=False)


def _unexpected(text: str, error: UnexpectedInput) -> QueryError:
    lines = text.splitlines() or [""]
    line, column = error.line, error.column
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        line, column = len(lines), len(lines[-1]) + 1
    shown = lines[min(line, len(lines)) - 1]
    at = shown[column - 1 : column + 19] if isinstance(error, UnexpectedCharacters) or column <= len(shown) else ""
    cause = f"unexpected {at!r}" if at else "unexpected end"
    advice = 'write a spanset filter like { resource.service.name = "shop" && duration > 100ms }'
    return QueryError(f"{line}:{column}: cannot parse TraceQL: {cause}; {advice}\n{shown}\n{' ' * (column - 1)}^",
                      (line, column))  # fmt: skip


class _Planner(Transformer[Token, Any]):
    """From the tree's leaves to expressions."""

    def start(self, items: list[Any]) -> Expr | None:
        found = items[0] if items else None
        return None if found is True else Not(_ALWAYS) if found is False else found

    def any_of(self, items: list[Any]) -> Any:
        if any(i is True for i in items):
            return True
        left = [i for i in items if i is not False]
        return Or(tuple(left)) if len(left) > 1 else left[0] if left else False

    def every_one(self, items: list[Any]) -> Any:
        if any(i is False for i in items):
            return False
        left = [i for i in items if i is not True]
        return all_of(left) if left else True

    def negation(self, items: list[Any]) -> Any:
        return not items[0] if isinstance(items[0], bool) else Not(items[0])

    def constant(self, items: list[Token]) -> bool:
        return items[0] == "true"

    def present(self, items: list[Field]) -> Expr:
        return Compare(items[0], "=", True)

    def comparison(self, items: list[Any]) -> Expr:
        field, op, value = items
        return _compare(field, op, value)

    def turned(self, items: list[Any]) -> Expr:
        value, op, field = items
        if op not in _TURNED:
            raise _fault(op, f"{op} takes its regular expression on the right")
        return _compare(field, Token("OPERATOR", _TURNED[op], line=op.line, column=op.column), value)

    def attribute(self, items: list[Token]) -> Field:
        return _attribute(items[0])

    def intrinsic(self, items: list[Token]) -> Field:
        name = str(items[0])
        found = ALIASES.get(name, Intrinsic(name))
        if not isinstance(found, Intrinsic) or (":" in found.name and found.name not in INTRINSICS):
            raise _fault(items[0], f"there is no intrinsic {name!r}")
        return found

    def string(self, items: list[Token]) -> Value:
        text = str(items[0])
        value = text[1:-1] if text.startswith("`") else _unquoted(text)
        if not _is_text(value):
            raise _fault(items[0], "it has an escape that is no character; write the character itself")
        return value

    def duration(self, items: list[Token]) -> Value:
        return duration_ns(items[0])

    def number(self, items: list[Token]) -> Value:
        text = str(items[0])
        return int(text) if text.lstrip("-").isdigit() and len(text) <= 20 else float(text)

    def boolean(self, items: list[Token]) -> Value:
        return items[0] == "true"

    def nil(self, items: list[Token]) -> Value:
        return None

    def word(self, items: list[Token]) -> Token:
        return items[0]


_ALWAYS = Compare(Intrinsic("start"), ">=", -(2**63))


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:  # an escape that JSON does not know, as in "\d": taken as it stands
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def _is_text(value: str) -> bool:
    """Whether each escape was a character: half of a surrogate pair is none."""
    return not any("\ud800" <= c <= "\udfff" for c in value)


def _attribute(token: Token) -> Attribute:
    scope, _, key = str(token).partition(".")
    if scope in ("parent", "event", "link"):
        raise _fault(token, f"scope {scope!r} cannot be searched yet; use span, resource or instrumentation")
    if '"' in key:
        key = key.replace('\\"', "\0").replace('"', "").replace("\0", '"')
    return Attribute(SCOPES[scope] if scope else None, key)


def _compare(field: Field, op: Token, value: Any) -> Expr:
    if isinstance(value, Token):
        value = _word(field, value)
    if op in ("=~", "!~"):
        if not isinstance(value, str):
            raise _fault(op, "a regular expression is text in quotes")
        check_regex(value)
    if value is None and op not in ("=", "!="):
        raise _fault(op, "nil can only be = or !=")
    if field == Intrinsic("nestedSetParent") and op == "<" and value == 0:
        return Compare(Intrinsic("parentPosition"), "<", 0)  # the tops of the tree, without the bounds of parents
    return Compare(field, str(op), value)


def _word(field: Field, word: Token) -> int:
    known = _WORDS.get(field.name, ()) if isinstance(field, Intrinsic) else ()
    if str(word) not in known:
        expected = ", ".join(known) if known else "text in quotes, a number, a duration, true, false or nil"
        raise _fault(word, f"{str(word)!r} is no value of {field}; expected {expected}")
    return known.index(str(word))


def _fault(token: Token, cause: str) -> QueryError:
    line, column = token.line or 1, token.column or 1
    return QueryError(f"{line}:{column}: cannot plan TraceQL at {str(token)!r}: {cause}", (line, column))
