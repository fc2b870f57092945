"""Text → plan: a precedence-climbing parser for the whole of PromQL 3, every node with its position.

In: the query, and the step and range that `step()` and `range()` stand for in durations. Out: a checked plan.
Raises QueryError with line, column and a caret.
Source: https://prometheus.io/docs/prometheus/latest/querying/operators/#binary-operator-precedence
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from obs.errors import QueryError
from obs.model.labels import Matcher
from obs.tsdb.promql import check, durations, selectors
from obs.tsdb.promql.cursor import AGGREGATORS, Cursor
from obs.tsdb.promql.depth import MAX_DEPTH, make_room, too_deep
from obs.tsdb.promql.formatting import go_general
from obs.tsdb.promql.functions.signatures import SIGNATURES
from obs.tsdb.promql.lengths import Span
from obs.tsdb.promql.lexer import duration_ms, number_value
from obs.tsdb.promql.plan import (
    Aggregate,
    AtEdge,
    Binary,
    Call,
    Card,
    Edge,
    Kind,
    Matching,
    Negate,
    Node,
    Number,
    Paren,
    RangeSelector,
    Selector,
    String,
    Subquery,
)  # fmt: skip

PRECEDENCE = {
    "or": 1, "and": 2, "unless": 2, "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "</": 3, ">/": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6,
}  # fmt: skip
UNARY_PRECEDENCE = 5
SET_OPS = ("and", "or", "unless")
FILLS = ("fill", "fill_left", "fill_right")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
RESERVED = ("bool", "on", "ignoring", "group_left", "group_right", "atan2")
"""Words that are no metric's name unless they are quoted."""
WITH_PARAM = ("topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio")


KEPT_PLANS, KEPT_TEXT = 512, 4096
"""Plans of queries up to so many characters that are kept: rules and dashboards ask the same again and again."""


def parse(text: str, step_ms: int = 0, range_ms: int = 0) -> Node:
    """The plan of a query. Plans are never changed, so that threads share them."""
    make_room()
    return (_kept if len(text) <= KEPT_TEXT else _parsed)(text, step_ms, range_ms)


def parse_to_show(text: str) -> Node:
    """The plan of a query that is not to be run: expressions of durations in it are worth 0, and kept as written."""
    make_room()
    return _Parser(text, None).query()


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """The matchers of a text that is a selector and nothing else; they may ask nothing. Raises: QueryError."""
    cursor = Cursor(text)
    if cursor.token.kind == "end":
        raise QueryError("unknown position: parse error: unexpected end of input")
    named = cursor.token.kind == "ident" and not cursor.is_word("inf", "nan", *RESERVED)
    if not named and not cursor.is_op("{"):
        raise cursor.unexpected("")
    found = selectors.selector(cursor, checked=False)
    if cursor.token.kind != "end":
        raise cursor.unexpected("")
    return tuple(found.matchers)


def _parsed(text: str, step_ms: int, range_ms: int) -> Node:
    return _Parser(text, Span(step_ms, range_ms)).query()


_kept = lru_cache(KEPT_PLANS)(_parsed)


class _Parser:
    def __init__(self, text: str, span: Span | None) -> None:
        self.cursor = Cursor(text)
        self.span = span
        self.depth = 0

    def query(self) -> Node:
        if self.cursor.token.kind == "end":
            raise self.cursor.error(0, "no expression found in input")
        node = self.expression(0)
        if self.cursor.token.kind != "end":
            raise self.cursor.unexpected("")
        if (deep := too_deep(node)) is not None:
            raise self.too_deep(deep.pos)
        return node

    def too_deep(self, pos: int) -> Exception:
        return self.cursor.error(pos, f"expression is nested deeper than {MAX_DEPTH} levels; take it apart")

    def expression(self, floor: int) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.too_deep(self.cursor.token.pos)
        left = self.unary()
        while (op := self.operator()) and PRECEDENCE[op] > floor:
            left = self.binary(left, op)
        self.depth -= 1
        return left

    def operator(self) -> str:
        token = self.cursor.token
        name = token.text.lower() if token.kind in ("ident", "op") else ""
        return name if name in PRECEDENCE else ""

    def unary(self) -> Node:
        if not self.cursor.is_op("+", "-"):
            return self.postfix(self.primary())
        sign = self.cursor.take()
        expr = self.expression(UNARY_PRECEDENCE)
        check.unary(self.cursor, sign.pos, expr)
        if isinstance(expr, Number):
            return replace(expr, pos=sign.pos, value=-expr.value if sign.text == "-" else expr.value)
        return Negate(sign.pos, expr) if sign.text == "-" else replace(expr, pos=sign.pos)

    def binary(self, left: Node, op: str) -> Node:
        token = self.cursor.take()
        bool_ = self.cursor.accept_word("bool") is not None
        if bool_ and op not in COMPARISONS:
            raise self.cursor.error(token.pos, "bool modifier can only be used on comparison operators")
        matching = self.matching(left.pos, token.pos, op)
        right = self.expression(PRECEDENCE[op] - (1 if op == "^" else 0))
        return check.binary(self.cursor, Binary(left.pos, op, left, right, bool_, matching), token.pos)

    def matching(self, pos: int, op_pos: int, op: str) -> Matching | None:
        """The clauses between an operator and its right side; None where there are none. The left side is at `pos`."""
        start = self.cursor.token
        m = Matching(Card.MANY_TO_MANY if op in SET_OPS else Card.ONE_TO_ONE)
        if word := self.cursor.accept_word("on", "ignoring"):
            m = replace(m, on=word == "on", labels=self.label_list("grouping opts"))
            if side := self.cursor.accept_word("group_left", "group_right"):
                if op in SET_OPS:
                    raise self.cursor.error(pos, f'no grouping allowed for "{op}" operation')
                include = self.label_list("grouping opts") if self.cursor.is_op("(") else ()
                m = replace(m, card=Card.MANY_TO_ONE if side == "group_left" else Card.ONE_TO_MANY, include=include)
                for name in include:
                    if m.on and name in m.labels:
                        cause = f'label "{name}" must not occur in ON and GROUP clause at once'
                        raise self.cursor.error(op_pos, cause)
        filled: set[str] = set()
        while (word := self.cursor.token.text.lower()) in FILLS and self._opens_after():
            if word in filled or "fill" in filled or (word == "fill" and filled):
                raise self.cursor.error(self.cursor.ahead().pos, 'unexpected "("')  # the word is a metric's name
            filled.add(word)
            self.cursor.take()
            if op in SET_OPS:
                raise self.cursor.error(pos, "filling in missing series not allowed for set operators")
            value = self.fill_value()
            m = replace(
                m,
                fill_left=value if word != "fill_right" else m.fill_left,
                fill_right=value if word != "fill_left" else m.fill_right,
            )
        return None if self.cursor.token is start else m

    def _opens_after(self) -> bool:
        """Whether the token after the next is a parenthesis: without one, `fill` is a metric."""
        after = self.cursor.ahead()
        return self.cursor.token.kind == "ident" and after.kind == "op" and after.text == "("

    def fill_value(self) -> float:
        self.cursor.expect("(", "fill value")
        sign = self.cursor.take().text if self.cursor.is_op("+", "-") else ""
        if self.cursor.is_word("inf", "nan"):
            value = float(self.cursor.take().text)
        elif self.cursor.token.kind in ("number", "duration"):
            value = self.number().value
        else:
            raise self.cursor.unexpected("")
        if not self.cursor.accept(")"):
            raise self.cursor.unexpected("")
        return -value if sign == "-" else value

    def label_list(self, context: str) -> tuple[str, ...]:
        self.cursor.expect("(", context)
        names: list[str] = []
        while not self.cursor.accept(")"):
            names.append(self.label_name(context))
            if not self.cursor.accept(","):
                if not self.cursor.accept(")"):
                    raise self.cursor.unexpected(context, '"," or ")"')
                break
        return tuple(names)

    def label_name(self, context: str) -> str:
        token = self.cursor.token
        if token.kind == "string":
            name = self.cursor.string()
            if not name or not selectors.is_utf8(name):
                raise self.cursor.error(token.pos, f"invalid label name for grouping: {token.text}")
            return name
        if token.kind == "ident" and ":" in token.text:
            raise self.cursor.error(token.pos, f'invalid label name for grouping: "{token.text}"')
        if token.kind != "ident":
            raise self.cursor.unexpected(context, "label")
        return self.cursor.take().text

    def primary(self) -> Node:
        token = self.cursor.token
        if token.kind in ("number", "duration"):
            return self.number()
        if token.kind == "string":
            return String(token.pos, self.cursor.string())
        if self.cursor.accept("("):
            inner = self.expression(0)
            if not self.cursor.accept(")"):
                raise self.cursor.unexpected("")
            return Paren(token.pos, inner)
        if token.kind == "ident":
            return self.word()
        if self.cursor.is_op("{"):
            return selectors.selector(self.cursor)
        raise self.cursor.unexpected("")

    def number(self) -> Number:
        token = self.cursor.take()
        if token.kind == "number":
            value = number_value(token.text)
            if math.isinf(value):
                cause = f'error parsing number: strconv.ParseFloat: parsing "{token.text}": value out of range'
                raise self.cursor.error(token.pos, cause)
            return Number(token.pos, value)
        ms = duration_ms(token.text)
        if ms is not None and ms > durations.MAX_S * 1000:
            raise self.cursor.error(token.pos, "duration out of range")
        if ms is None:
            raise self.cursor.error(token.pos, f'not a valid duration string: "{token.text}"')
        return Number(token.pos, ms / 1000, True)

    def word(self) -> Node:
        token, following = self.cursor.token, self.cursor.ahead()
        lower = token.text.lower()
        opens = following.kind == "op" and following.text == "("
        grouped = following.kind == "ident" and following.text.lower() in ("by", "without")
        if lower in RESERVED or (opens and lower in ("by", "without", "and", "or", "unless")):
            raise self.cursor.unexpected("")
        if lower in AGGREGATORS and (opens or grouped):
            return self.aggregate()
        if lower in ("inf", "nan") and not (following.kind == "op" and following.text == "{"):
            self.cursor.take()
            return Number(token.pos, float(lower))
        if opens:
            return self.call()
        return selectors.selector(self.cursor)

    def arguments(self, context: str) -> tuple[Node, ...]:
        if not self.cursor.accept("("):
            raise self.cursor.unexpected(context)
        args: list[Node] = []
        while not self.cursor.accept(")"):
            args.append(self.argument(context, len(args)))
            comma = self.cursor.token
            if not self.cursor.is_op(",", ")"):
                raise self.cursor.unexpected(context if context == "aggregation" else "")
            if self.cursor.accept(",") and self.cursor.is_op(")"):
                raise self.cursor.error(comma.pos, "trailing commas not allowed in function call args")
        return tuple(args)

    def argument(self, context: str, position: int) -> Node:
        # The second argument of info() is a bare list of matchers, which may all match the empty string.
        if context == '"info"' and position == 1 and self.cursor.is_op("{"):
            return self.postfix(selectors.selector(self.cursor, checked=False))
        return self.expression(0)

    def aggregate(self) -> Node:
        token = self.cursor.take()
        op = token.text.lower()
        grouping = self.grouping()
        args = self.arguments("aggregation")
        grouping = grouping or self.grouping() or ((), False)
        expected = 2 if op in WITH_PARAM else 1
        if not args:
            raise self.cursor.error(token.pos, "no arguments for aggregate expression provided")
        if len(args) != expected:
            cause = f"wrong number of arguments for aggregate expression provided, expected {expected}, got {len(args)}"
            raise self.cursor.error(token.pos, cause)
        param = args[0] if expected == 2 else None
        return check.aggregate(self.cursor, Aggregate(token.pos, op, args[-1], param, *grouping))

    def grouping(self) -> tuple[tuple[str, ...], bool] | None:
        word = self.cursor.accept_word("by", "without")
        return None if word is None else (self.label_list("grouping opts"), word == "without")

    def call(self) -> Node:
        token = self.cursor.take()
        if token.text.lower() in FILLS:
            raise self.cursor.unexpected("")
        args = self.arguments(f'"{token.text}"')
        signature = SIGNATURES.get(token.text)
        if signature is None:
            raise self.cursor.error(token.pos, f'unknown function with name "{token.text}"')
        return check.call(self.cursor, Call(token.pos, token.text, args, signature.returns), signature)

    def postfix(self, node: Node) -> Node:
        while True:
            if self.cursor.is_op("["):
                node = self.window(node)
            elif self.cursor.is_word("offset"):
                node = self.offset(node)
            elif self.cursor.is_op("@"):
                node = self.at(node)
            elif word := self.cursor.accept_word("anchored", "smoothed"):
                node = self.edge(node, Edge(word))
            else:
                return node

    def window(self, node: Node) -> Node:
        opening = self.cursor.take()
        range_ms, written = durations.positive(self.cursor, self.span)
        if not self.cursor.accept(":"):
            if not self.cursor.accept("]"):
                raise self.cursor.unexpected("subquery or range", '":" or "]"')
            if not isinstance(node, Selector):
                raise self.cursor.error(opening.pos, "ranges only allowed for vector selectors")
            if (moved := node.offset_ms or node.offset_written is not None) or node.at is not None:
                cause = f"no {'offset' if moved else '@'} modifiers allowed before range"
                raise self.cursor.error(opening.pos, cause)
            return RangeSelector(node.pos, node, range_ms, written)
        bare = self.cursor.is_op("]")
        step_ms, step_written = (None, None) if bare else durations.positive(self.cursor, self.span)
        if not self.cursor.accept("]"):
            if self.cursor.is_op(":"):
                raise self.cursor.error(self.cursor.token.pos, "unexpected colon ':'")
            raise self.cursor.unexpected("subquery selector", '"]"')
        if node.kind is not Kind.VECTOR:
            kind = "matrix" if node.kind is Kind.MATRIX else node.kind.value
            cause = f"subquery is only allowed on instant vector, got {kind} instead"
            raise self.cursor.error(node.pos, cause)
        return Subquery(node.pos, node, range_ms, step_ms, range_written=written, step_written=step_written)

    def offset(self, node: Node) -> Node:
        self.cursor.take()
        ms, written = durations.signed(self.cursor, self.span)
        target = self.timed(node, "offset modifier")
        if target.offset_ms or target.offset_written is not None:
            raise self.cursor.error(node.pos, "offset may not be set multiple times")
        return _retimed(node, replace(target, offset_ms=ms, offset_written=written))

    def at(self, node: Node) -> Node:
        self.cursor.take()
        at = self.timestamp(node.pos)
        target = self.timed(node, "@ modifier")
        if target.at is not None:
            raise self.cursor.error(node.pos, "@ <timestamp> may not be set multiple times")
        return _retimed(node, replace(target, at=at))

    def timestamp(self, pos: int) -> int | AtEdge:
        if word := self.cursor.accept_word("start", "end"):
            if not (self.cursor.accept("(") and self.cursor.accept(")")):
                raise self.cursor.unexpected("@", "timestamp")
            return AtEdge(f"{word}()")
        sign = -1 if self.cursor.is_op("-") else 1
        if self.cursor.is_op("+", "-"):
            self.cursor.take()
        if self.cursor.is_word("inf", "nan"):
            seconds = sign * float(self.cursor.take().text)
        elif self.cursor.token.kind in ("number", "duration"):
            seconds = sign * self.number().value
        else:
            raise self.cursor.unexpected("@", "timestamp")
        if not abs(seconds) < 2**63 / 1000:
            shown = f"{seconds:f}" if math.isfinite(seconds) else go_general(seconds)
            raise self.cursor.error(pos, f"timestamp out of bounds for @ modifier: {shown}")
        return round(seconds * 1000)

    def timed(self, node: Node, what: str) -> Selector | Subquery:
        """The part of `node` that a time modifier applies to."""
        if isinstance(node, RangeSelector):
            return node.selector
        if isinstance(node, Selector | Subquery):
            return node
        cause = f"{what} must be preceded by an instant vector selector or range vector selector or a subquery"
        raise self.cursor.error(node.pos, cause)

    def edge(self, node: Node, edge: Edge) -> Node:
        if isinstance(node, Subquery):
            raise self.cursor.error(node.pos, f"{edge.value} modifier is not supported for subqueries")
        if not isinstance(node, Selector | RangeSelector):
            raise self.cursor.error(node.pos, f"{edge.value} modifier not implemented")
        target = self.timed(node, edge.value)
        assert isinstance(target, Selector)
        if target.edge not in (Edge.NONE, edge):
            raise self.cursor.error(node.pos, "anchored and smoothed modifiers cannot be used together")
        return _retimed(node, replace(target, edge=edge))


def _retimed(node: Node, target: Selector | Subquery) -> Node:
    if isinstance(node, RangeSelector):
        assert isinstance(target, Selector)
        return replace(node, selector=target)
    return target
