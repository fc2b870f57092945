"""Parsing of vector selectors: a name, matchers in braces, quoted names among them."""

from __future__ import annotations

from collections.abc import Iterable

from obs.model.labels import METRIC_NAME, Matcher, MatchOp
from obs.tsdb.promql.cursor import Cursor
from obs.tsdb.promql.plan import Selector


def selector(cursor: Cursor, checked: bool = True) -> Selector:
    """A selector: `name`, `name{…}` or `{…}`; `checked`: with one name, and one that something is asked of."""
    start = cursor.token
    name = cursor.take().text if start.kind == "ident" else ""
    matchers = _braces(cursor) if cursor.is_op("{") else []
    if name:
        again = next((m.value for m in matchers if m.name == METRIC_NAME and m.op is MatchOp.EQ), None)
        if checked and again is not None:
            raise cursor.error(start.pos, f'metric name must not be set twice: "{name}" or "{again}"')
        matchers.append(Matcher(METRIC_NAME, MatchOp.EQ, name))
    if checked and asks_nothing(matchers):
        raise cursor.error(start.pos, "vector selector must contain at least one non-empty matcher")
    return Selector(start.pos, tuple(matchers), is_named=bool(name))


def asks_nothing(matchers: Iterable[Matcher]) -> bool:
    """Whether a series of no labels matches, and so all do that lack some."""
    return all(m.matches("") for m in matchers)


def _braces(cursor: Cursor) -> list[Matcher]:
    cursor.expect("{", "label matching")
    matchers: list[Matcher] = []
    while not cursor.accept("}"):
        matchers.append(_matcher(cursor))
        if not cursor.accept(","):
            if not cursor.accept("}"):
                raise cursor.unexpected("label matching", '"," or "}"')
            break
    return matchers


def _matcher(cursor: Cursor) -> Matcher:
    token = cursor.token
    if token.kind == "string":
        label = cursor.string()
        if not is_utf8(label):
            raise cursor.error(token.pos, f"invalid label name {token.text}")
        if not cursor.is_op("=", "!=", "=~", "!~"):
            return Matcher(METRIC_NAME, MatchOp.EQ, label)
    elif token.kind == "ident" and ":" not in token.text:
        label = cursor.take().text
    else:
        raise cursor.unexpected("label matching", 'identifier or "}"')
    if not cursor.is_op("=", "!=", "=~", "!~"):
        raise cursor.unexpected("label matching", "label matching operator")
    op = MatchOp(cursor.take().text)
    value = cursor.token
    if value.kind != "string":
        raise cursor.unexpected("label matching", "string")
    return _built(cursor, label, op, cursor.string(), token.pos)


def _built(cursor: Cursor, label: str, op: MatchOp, value: str, pos: int) -> Matcher:
    if op in (MatchOp.EQ, MatchOp.NE):
        return Matcher(label, op, value)
    try:
        matcher = Matcher(label, op, value)
        matcher.matches("")
    except ValueError as e:
        raise cursor.error(pos, str(e)) from None
    return matcher


def is_utf8(text: str) -> bool:
    """Whether a text read from a query is valid UTF-8 (no byte escapes left as lone surrogates)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
