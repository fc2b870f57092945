"""TraceQL text → plan. The grammar is `grammar.lark`; errors show line, column and a caret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache
from importlib.resources import files

from lark import Lark, UnexpectedInput
from lark.exceptions import VisitError

from obs.errors import QueryError
from obs.tracestore import limits
from obs.tracestore.expressions import Expr
from obs.tracestore.traceql.building import Builder
from obs.tracestore.traceql.faults import unexpected, with_caret
from obs.tracestore.traceql.plan import Plan


def parse(text: str) -> Expr | None:
    """The condition on spans that a query amounts to; None where every span satisfies it. Raises: QueryError."""
    return plan(text).where


def plan(text: str) -> Plan:
    """A query's plan. Raises: QueryError."""
    if len(text) > limits.MAX_QUERY_CHARS:
        raise QueryError(f"cannot parse a query of {len(text)} characters: the limit is {limits.MAX_QUERY_CHARS}")
    return _plan(text)


@lru_cache(maxsize=256)
def _plan(text: str) -> Plan:
    try:
        tree = _grammar().parse(text)
        found: Plan = Builder().transform(tree)
    except UnexpectedInput as e:
        raise unexpected(text, e) from None
    except RecursionError:
        raise QueryError("cannot parse TraceQL: it nests too deep; take parentheses away") from None
    except VisitError as e:
        if isinstance(e.orig_exc, QueryError):
            raise with_caret(text, e.orig_exc) from None
        if isinstance(e.orig_exc, RecursionError):
            raise QueryError("cannot parse TraceQL: it nests too deep; take parentheses away") from None
        raise
    if depth(found) > limits.MAX_QUERY_DEPTH:
        raise QueryError(f"cannot run TraceQL that nests deeper than {limits.MAX_QUERY_DEPTH}; take conditions apart")
    return found


def depth(tree: object) -> int:
    """How deep values of our dataclasses stand in each other."""
    level, deepest = [tree], 0
    while level:
        deepest += 1
        level = [inner for item in level for inner in _inside(item)]
    return deepest


def _inside(item: object) -> Iterator[object]:
    if isinstance(item, tuple):
        yield from item
    elif is_dataclass(item):
        yield from (getattr(item, f.name) for f in fields(item))


@cache
def _grammar() -> Lark:
    source = files("obs.tracestore.traceql").joinpath("grammar.lark").read_text()
    return Lark(source, parser="lalr", maybe_placeholders=True)
